#include "ops/tokens.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> tokens_cases() {
  const Shape shape{3, 4, 5};
  return {
      {"prepend_token",
       {activation(shape), parameter(Shape{5})},
       [](const auto& x) { return prepend_token(x[0], x[1]); }},
      {"take_tokens", {activation(shape)}, [](const auto& x) { return take_tokens(x[0], 1, 2); }},
      {"place_tokens", {activation(shape)}, [](const auto& x) { return place_tokens(x[0], 2, 7); }},
      {"tokens of many",
       {activation(Shape{70, 50, 33}), parameter(Shape{33})},
       [](const auto& x) { return take_tokens(prepend_token(x[0], x[1]), 0, 49); },
       true,
       true},
      {"tokens of no samples",
       {constant(activation(Shape{0, 2, 3})), constant(parameter(Shape{3}))},
       [](const auto& x) { return place_tokens(prepend_token(x[0], x[1]), 1, 4); },
       false},
  };
}

TEST_CASE("tokens are put before, taken and placed in each sample", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor token = leaf(Shape{2}, {-1, -2});
  CHECK_CLOSE(compute(prepend_token(x, token)), {-1, -2, 1, 2, 3, 4, -1, -2, 5, 6, 7, 8});
  CHECK_CLOSE(compute(take_tokens(x, 1, 1)), {3, 4, 7, 8});
  CHECK_CLOSE(compute(place_tokens(take_tokens(x, 0, 1), 1, 3)),
              {0, 0, 1, 2, 0, 0, 0, 0, 5, 6, 0, 0});
  CHECK_CLOSE(
      compute_gradients(prepend_token(x, token), {token}, {1, 2, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0})[0],
      {4, 6});
}

TEST_CASE("tokens outside a sequence are refused", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 2}, {1, 2, 3, 4});
  CHECK_THAT(death_message([&] { take_tokens(x, 1, 2); }),
             Catch::Contains("take_tokens from 1 on, 2 of float64 [1, 2, 2]"));
  CHECK_THAT(death_message([&] { place_tokens(x, 1, 2); }),
             Catch::Contains("place_tokens of float64 [1, 2, 2] at 1 of 2"));
  CHECK_THAT(death_message([&] {
               prepend_token(x, leaf(Shape{3}, {1, 2, 3}));
             }),
             Catch::Contains("prepend_token of float64 [1, 2, 2] and float64 [3]"));
}

}  // namespace lacuna::test::ops
