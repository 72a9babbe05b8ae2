#include "ops/layer_norm.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> layer_norm_cases() {
  const auto build = [](const auto& x) { return layer_norm(x[0], x[1], x[2], 1e-6); };
  const auto of = [](const Shape& shape, double spread = 1, double centre = 0) {
    const Shape features{shape[-1]};
    return std::vector{activation(shape, spread, centre), parameter(features, 0.3, 1),
                       parameter(features)};
  };
  return {
      {"layer_norm", of(Shape{5, 7}), build},
      {"layer_norm of tokens", of(Shape{2, 3, 5}), build},
      {"layer_norm far from zero", of(Shape{4, 9}, 1, 20), build},
      {"layer_norm of a feature whose deviation is below epsilon", of(Shape{4, 6}, 0.1),
       [](const auto& x) { return layer_norm(x[0], x[1], x[2], 0.5); }},
      {"layer_norm of many", of(Shape{67, 5, 197}), build, true, true},
      {"layer_norm of no rows",
       {constant(activation(Shape{0, 3})), constant(parameter(Shape{3})),
        constant(parameter(Shape{3}))},
       build,
       false},
  };
}

TEST_CASE("layer normalisation has the mean and deviation of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 4}, {1, 3, 5, 7, -2, -2, 2, 2});
  const Tensor gamma = leaf(Shape{4}, {1, 1, 2, 1});
  const Tensor beta = leaf(Shape{4}, {0, 10, 0, 0});
  // Mean 4 and variance 5, mean 0 and variance 4; epsilon 0.0001 and small beside them.
  const double a = 1 / std::sqrt(5.0001);
  const double b = 1 / std::sqrt(4.0001);
  CHECK_CLOSE(compute(layer_norm(x, gamma, beta, 1e-4)),
              {-3 * a, 10 - a, 2 * a, 3 * a, -2 * b, 10 - 2 * b, 4 * b, 2 * b});
}

TEST_CASE("layer normalisation's gradient has no part along ones or the result", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 3}, {0, 3, 6});
  const Tensor one = leaf(Shape{3}, {1, 1, 1});
  const Tensor zero = leaf(Shape{3}, {0, 0, 0});
  const Tensor y = layer_norm(x, one, zero, 1e-12);
  CHECK_CLOSE(compute_gradients(y, {x}, {5, 5, 5})[0], {0, 0, 0});
  const std::vector<double> gradient = compute_gradients(y, {x}, {1, -2, 0})[0];
  CHECK(gradient[0] + gradient[1] + gradient[2] == Approx(0).margin(1e-12));
  CHECK(gradient[2] - gradient[0] == Approx(0).margin(1e-9));
  CHECK(gradient[1] == Approx(-2 * gradient[0]));
  CHECK(std::abs(gradient[1]) > 0.1);
}

TEST_CASE("layer_norm refuses parameters of another size", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2}, {1, 2});
  const Tensor p = leaf(Shape{3}, {1, 2, 3});
  CHECK_THAT(death_message([&] { layer_norm(x, p, p, 1e-6); }),
             Catch::Contains("layer_norm of float64 [1, 2] by float64 [3]"));
}

}  // namespace lacuna::test::ops
