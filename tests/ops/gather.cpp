#include "ops/gather.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> gather_cases() {
  const auto gathered = [](const auto& x) { return gather_tokens(x[0], x[1]); };
  const auto scattered = [](int64_t length) {
    return [length](const auto& x) { return scatter_tokens(x[0], x[1], length); };
  };
  const auto looked_up = [](const auto& x) { return embedding(x[0], x[1]); };
  return {
      {"gather_tokens", {activation(Shape{3, 4, 5}), places(Shape{3, 6}, 4)}, gathered},
      {"gather_tokens at places of 32 bits",
       {activation(Shape{2, 3, 4}), places(Shape{2, 2}, 3, Operand::Kind::small)},
       gathered},
      {"gather_tokens of many",
       {activation(Shape{7, 97, 131}), places(Shape{7, 50}, 97)},
       gathered,
       true,
       true},
      {"gather_tokens of none",
       {constant(activation(Shape{0, 3, 2})), places(Shape{0, 2}, 3)},
       gathered,
       false},
      {"scatter_tokens", {activation(Shape{3, 6, 5}), places(Shape{3, 6}, 4)}, scattered(4)},
      {"scatter_tokens at places of 32 bits",
       {activation(Shape{2, 3, 4}), places(Shape{2, 3}, 5, Operand::Kind::small)},
       scattered(5)},
      {"scatter_tokens of many",
       {activation(Shape{7, 150, 131}), places(Shape{7, 150}, 97)},
       scattered(97),
       true,
       true},
      {"scatter_tokens of none",
       {constant(activation(Shape{2, 0, 3})), places(Shape{2, 0}, 1)},
       scattered(2),
       false},
      {"embedding", {parameter(Shape{5, 3}), places(Shape{2, 4}, 5)}, looked_up},
      {"embedding of many",
       {parameter(Shape{211, 67}), places(Shape{3, 400}, 211)},
       looked_up,
       true,
       true},
      {"embedding of none",
       {constant(parameter(Shape{5, 3})), places(Shape{0}, 5)},
       looked_up,
       false},
  };
}

TEST_CASE("tokens are gathered from places and scattered to them", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor places = leaf(Shape{2, 3}, {1, -1, 1, 0, 1, -1}, DType::i64);
  CHECK_CLOSE(compute(gather_tokens(x, places)), {3, 4, 0, 0, 3, 4, 5, 6, 7, 8, 0, 0});
  // Two of the first sample's three stand for its token 1.
  CHECK_CLOSE(
      compute_gradients(gather_tokens(x, places), {x}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})[0],
      {0, 0, 6, 8, 7, 8, 9, 10});
  const Tensor y = leaf(Shape{1, 3, 1}, {1, 10, 100});
  const Tensor to = leaf(Shape{1, 3}, {2, 0, 2}, DType::i32);
  CHECK_CLOSE(compute(scatter_tokens(y, to, 4)), {10, 0, 101, 0});
  CHECK_CLOSE(compute_gradients(scatter_tokens(y, to, 4), {y}, {1, 2, 3, 4})[0], {3, 1, 3});
}

TEST_CASE("an embedding is the rows of its table", "[ops]") {
  Leaves leaf;
  const Tensor table = leaf(Shape{3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor ids = leaf.labels({2, 0, -1, 2});
  CHECK(embedding(table, ids).shape() == Shape{4, 2});
  CHECK_CLOSE(compute(embedding(table, ids)), {5, 6, 1, 2, 0, 0, 5, 6});
  CHECK_CLOSE(compute_gradients(embedding(table, ids), {table}, {1, 2, 3, 4, 5, 6, 7, 8})[0],
              {3, 4, 0, 0, 8, 10});
}

TEST_CASE("tokens at places that do not fit are refused", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 1}, {1, 2});
  CHECK_THAT(death_message([&] {
               gather_tokens(x, leaf(Shape{2, 1}, {0, 1}, DType::i64));
             }),
             Catch::Contains("gather_tokens of float64 [1, 2, 1] at int64 [2, 1]"));
  CHECK_THAT(death_message([&] {
               scatter_tokens(x, leaf(Shape{1, 2}, {0, 1}), 3);
             }),
             Catch::Contains("scatter_tokens of float64 [1, 2, 1] at float64 [1, 2] of 3"));
  CHECK_THAT(death_message([&] { embedding(x, leaf.labels({0})); }),
             Catch::Contains("embedding of int64 [1] in float64 [1, 2, 1]"));
}

}  // namespace lacuna::test::ops
