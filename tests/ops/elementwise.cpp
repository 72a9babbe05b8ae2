#include "ops/elementwise.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "ops/types.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> elementwise_cases() {
  const Shape odd{3, 5, 7};
  const auto loss_type = [](const Tensor& x) { return parameter_type(x.dtype()); };
  return {
      {"add", {activation(odd), activation(odd)}, [](const auto& x) { return add(x[0], x[1]); }},
      {"add to itself", {activation(odd)}, [](const auto& x) { return add(x[0], x[0]); }},
      {"subtract",
       {activation(odd), activation(odd)},
       [](const auto& x) { return subtract(x[0], x[1]); }},
      {"scale", {activation(odd)}, [](const auto& x) { return scale(x[0], -1.5); }},
      {"multiply",
       {activation(odd), activation(odd)},
       [](const auto& x) { return multiply(x[0], x[1]); }},
      {"a fork into three",  // whose gradient is a sum of three terms
       {off_zero(odd), activation(odd)},
       [](const auto& x) { return add(relu(x[0]), add(scale(x[0], 2), multiply(x[0], x[1]))); }},
      {"square", {activation(odd)}, [](const auto& x) { return multiply(x[0], x[0]); }},
      {"hide",
       {activation(odd), constant(positive(Operand::Kind::activation, Shape{3, 5, 1}))},
       [](const auto& x) { return hide(x[0], x[1]); }},
      {"hide of one channel",
       {activation(Shape{7, 1}), constant(positive(Operand::Kind::activation, Shape{7, 1}))},
       [](const auto& x) { return hide(x[0], x[1]); }},
      {"relu", {off_zero(odd)}, [](const auto& x) { return relu(x[0]); }},
      {"relu of no rows",
       {constant(off_zero(Shape{0, 5}))},
       [](const auto& x) { return relu(x[0]); },
       false},
      {"relu of many",
       {off_zero(Shape{9, 1013})},
       [](const auto& x) { return relu(x[0]); },
       true,
       true},
      {"gelu", {activation(odd, 2)}, [](const auto& x) { return gelu(x[0]); }},
      {"gelu of many",
       {activation(Shape{9, 1013}, 3)},
       [](const auto& x) { return gelu(x[0]); },
       true,
       true},
      {"add_to_each",
       {activation(odd), parameter(Shape{5, 7})},
       [](const auto& x) { return add_to_each(x[0], x[1]); }},
      {"add_to_each of many",
       {activation(Shape{67, 50, 35}), parameter(Shape{50, 35})},
       [](const auto& x) { return add_to_each(x[0], x[1]); },
       true,
       true},
      {"scale_rows",
       {activation(odd), constant(positive(Operand::Kind::parameter, Shape{3}))},
       [](const auto& x) { return scale_rows(x[0], x[1]); }},
      {"scale_rows of many",
       {activation(Shape{131, 9, 43}), constant(positive(Operand::Kind::parameter, Shape{131}))},
       [](const auto& x) { return scale_rows(x[0], x[1]); },
       true,
       true},
      {"cast to bfloat16",
       {activation(odd)},
       [](const auto& x) { return cast(x[0], DType::bf16); },
       true,
       true},
      {"cast to float32",
       {activation(odd)},
       [](const auto& x) { return cast(x[0], DType::f32); },
       true,
       true},
      {"squared_norm",
       {activation(odd), activation(Shape{11})},
       [](const auto& x) {
         return squared_norm({x[0], x[1]});
       },
       false},
      {"squared_norm as a loss's type",
       {activation(odd)},
       [=](const auto& x) { return cast(squared_norm({x[0]}), loss_type(x[0])); },
       false},
      {"count_correct",
       {activation(Shape{37, 5}), labels(37, 5)},
       [](const auto& x) { return count_correct(x[0], x[1]); },
       false},
  };
}

TEST_CASE("elementwise operations have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{4}, {-1, 0, 2, 0.5});
  const Tensor b = leaf(Shape{4}, {3, -2, 1, 4});
  CHECK_CLOSE(compute(add(a, b)), {2, -2, 3, 4.5});
  CHECK_CLOSE(compute(subtract(a, b)), {-4, 2, 1, -3.5});
  CHECK_CLOSE(compute(scale(a, 3)), {-3, 0, 6, 1.5});
  CHECK_CLOSE(compute(multiply(a, b)), {-3, 0, 2, 2});
  CHECK_CLOSE(compute(hide(leaf(Shape{2, 2}, {1, 2, 3, 4}), leaf(Shape{2, 1}, {1, 0}))),
              {0, 0, 3, 4});
  CHECK_CLOSE(compute(relu(a)), {0, 0, 2, 0.5});
  CHECK_CLOSE(compute_gradients(relu(a), {a}, {5, 6, 7, 8})[0], {0, 0, 7, 8});
  // Phi(-1) = 0.158655…, Phi(2) = 0.977249…, Phi(0.5) = 0.691462… (tables of the distribution).
  CHECK_CLOSE(compute(gelu(a)),
              {-0.15865525393145707, 0, 2 * 0.9772498680518208, 0.5 * 0.6914624612740131});
  CHECK_CLOSE(compute(add_to_each(leaf(Shape{2, 2}, {1, 2, 3, 4}), leaf(Shape{2}, {10, 20}))),
              {11, 22, 13, 24});
  CHECK_CLOSE(compute(scale_rows(leaf(Shape{2, 2}, {1, 2, 3, 4}), leaf(Shape{2}, {0, -2}))),
              {0, 0, -6, -8});
  CHECK_CLOSE(compute(squared_norm({a, b})), {5.25 + 30});
  // The first of the largest counts; a negative label never does.
  const Tensor logits = leaf(Shape{3, 2}, {1, 1, 0, 2, 7, 3});
  CHECK_CLOSE(compute(count_correct(logits, leaf.labels({0, 1, -1}))), {2});
  CHECK_CLOSE(compute(count_correct(logits, leaf.labels({1, 0, 0}))), {1});
}

TEST_CASE("a cast rounds to nearest even and a cast to the same type is the tensor itself",
          "[ops]") {
  Leaves leaf;
  // 1 + 2^-8 lies halfway between two bfloat16 numbers, 1 + 3 2^-8 too.
  const Tensor x = leaf(Shape{3}, {1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 5 * 0x1p-9});
  CHECK_CLOSE(compute(cast(x, DType::bf16)), {1, 1 + 0x1p-6, 1 + 0x1p-7});
  CHECK_CLOSE(compute(cast(leaf.labels({-3, 7}), DType::f64)), {-3, 7});
  CHECK(cast(x, DType::f64) == x);
}

TEST_CASE("elementwise operations refuse operands that differ in shape", "[ops]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{2}, {1, 2});
  const Tensor b = leaf(Shape{3}, {1, 2, 3});
  CHECK_THAT(death_message([&] { multiply(a, b); }),
             Catch::Contains("multiply of float64 [2] and float64 [3]"));
  CHECK_THAT(death_message([&] { add(a, b); }), Catch::Contains("adding [3] to [2]"));
  CHECK_THAT(death_message([&] { hide(a, b); }),
             Catch::Contains("hide of float64 [2] by float64 [3]"));
  CHECK_THAT(death_message([&] { add_to_each(a, b); }),
             Catch::Contains("add_to_each of float64 [2] and float64 [3]"));
  CHECK_THAT(death_message([&] { scale_rows(a, b); }),
             Catch::Contains("scale_rows of float64 [2] by float64 [3]"));
  CHECK_THAT(death_message([&] { count_correct(a, b); }),
             Catch::Contains("count_correct of logits [2] and float64 labels [3]"));
}

}  // namespace lacuna::test::ops
