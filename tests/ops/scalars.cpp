#include "ops/scalars.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/types.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

// 0, 1 or 2: a third are zeros.
Operand counts(const Shape& shape) {
  return {Operand::Kind::value, shape,
          [](const Draws& draws, uint32_t i) { return static_cast<double>(draws.below(i, 3)); },
          false};
}

}  // namespace

std::vector<Case> scalars_cases() {
  const auto scaled = [](const auto& x) { return scale_by(x[0], x[1]); };
  const auto summed = [](const auto& x) { return dot(x[0], x[1], parameter_type(x[0].dtype())); };
  return {
      {"scale_by a parameter", {activation(Shape{3, 5}), parameter(Shape{})}, scaled},
      {"scale_by a value of the step",
       {activation(Shape{3, 5}), constant(value_of_step(Shape{}))},
       scaled},
      {"scale_by of many", {activation(Shape{7, 20011}), parameter(Shape{})}, scaled, true, true},
      {"scale_by of none",
       {constant(activation(Shape{0, 3})), constant(parameter(Shape{}))},
       scaled,
       false},
      {"dot", {activation(Shape{3, 5}), activation(Shape{3, 5})}, summed},
      {"dot of many",
       {activation(Shape{7, 20011}, 1, 1), activation(Shape{7, 20011}, 1, 1)},
       summed,
       true,
       true},
      // Its gradient is not that of its values: below.
      {"reverse_gradient",
       {constant(activation(Shape{3, 5})), constant(value_of_step(Shape{}))},
       [](const auto& x) { return scale(reverse_gradient(x[0], x[1]), 2); },
       false},
      {"dot of none",
       {constant(activation(Shape{0, 3})), constant(activation(Shape{0, 3}))},
       summed,
       false},
      {"inverse_count",
       {counts(Shape{7})},
       [](const auto& x) { return inverse_count(x[0]); },
       false},
  };
}

TEST_CASE("products with a scalar have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{3}, {1, -2, 4});
  const Tensor factor = leaf.scalar(-0.5);
  CHECK_CLOSE(compute(scale_by(x, factor)), {-0.5, 1, -2});
  const auto gradients = compute_gradients(scale_by(x, factor), {x, factor}, {2, 3, 5});
  CHECK_CLOSE(gradients[0], {-1, -1.5, -2.5});
  CHECK_CLOSE(gradients[1], {2 - 6 + 20});
  CHECK_CLOSE(compute(dot(x, leaf(Shape{3}, {3, 1, 2}), DType::f64)), {9});
}

TEST_CASE("a reversed gradient leaves values alone and turns their gradients", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {1, -2, 4, 8});
  const Tensor y = multiply(reverse_gradient(x, leaf.scalar(0.25)), x);
  CHECK_CLOSE(compute(y), {1, 4, 16, 64});
  // Of the two ways one comes back turned: 1 - 0.25 of x.
  CHECK_CLOSE(compute_gradients(y, {x})[0], {0.75, -1.5, 3, 6});
  const Tensor strength = leaf.scalar(2);
  CHECK_CLOSE(compute_gradients(reverse_gradient(scale(x, 3), strength), {x})[0], {-6, -6, -6, -6});
}

TEST_CASE("the inverse of a count of none is 0", "[ops]") {
  Leaves leaf;
  CHECK_CLOSE(compute(inverse_count(leaf(Shape{3}, {4, 0, 0.5}))), {0.25, 0, 2});
}

TEST_CASE("products with a scalar refuse what does not fit", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2}, {1, 2});
  CHECK_THAT(death_message([&] { scale_by(x, x); }),
             Catch::Contains("scale_by of float64 [2] and float64 [2]"));
  CHECK_THAT(death_message([&] {
               inverse_count(leaf.labels({1, 2}));
             }),
             Catch::Contains("inverse_count of int64 [2]"));
  CHECK_THAT(death_message([&] { dot(x, leaf.scalar(1), DType::f64); }),
             Catch::Contains("dot of float64 [2] and float64 [] as float64"));
  CHECK_THAT(death_message([&] {
               reverse_gradient(leaf.labels({1, 2}), leaf.scalar(1));
             }),
             Catch::Contains("reverse_gradient of int64 [2] by float64 []"));
}

}  // namespace lacuna::test::ops
