#include "ops/product_gelu.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/matrix_product.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> product_gelu_cases() {
  std::vector<Case> cases;
  const std::vector<Operand> hidden = {activation(Shape{24, 16}), parameter(Shape{32, 16}, 0.3),
                                       parameter(Shape{32})};
  cases.push_back({"linear through a GELU", hidden,
                   [](const auto& x) { return linear_gelu(x[0], x[1], x[2]); }});
  std::vector<Operand> perceptron = hidden;
  perceptron.push_back(parameter(Shape{8, 32}, 0.3));
  perceptron.push_back(parameter(Shape{8}));
  perceptron.push_back(activation(Shape{24, 8}));
  cases.push_back({"perceptron added to its input's kind", perceptron, [](const auto& x) {
                     const Tensor h = linear_gelu(x[0], x[1], x[2]);
                     return linear_added(h, x[3], x[4], x[5]);
                   }});
  cases.push_back({"perceptron of few rows and odd sizes",
                   {activation(Shape{3, 5}), parameter(Shape{7, 5}, 0.3), parameter(Shape{7}),
                    parameter(Shape{3, 7}, 0.3), parameter(Shape{3}), activation(Shape{3, 3})},
                   [](const auto& x) {
                     const Tensor h = linear_gelu(x[0], x[1], x[2]);
                     return linear_added(h, x[3], x[4], x[5]);
                   }});
  return cases;
}

TEST_CASE("a product through a GELU has the values of both", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2}, {1, 2});
  const Tensor w = leaf(Shape{2, 2}, {1, 0, 1, -1});
  const Tensor bias = leaf(Shape{2}, {0, 1});
  // Into the GELU go 1 and 0; Phi(1) = 0.8413447460685429.
  CHECK_CLOSE(compute(linear_gelu(x, w, bias)), {0.8413447460685429, 0});
  CHECK_CLOSE(compute_gradients(linear_gelu(x, w, bias), {bias})[0],
              {0.8413447460685429 + 0.24197072451914337, 0.5});
  CHECK_THAT(death_message([&] {
               linear_gelu(x, leaf(Shape{1, 3}, {1, 2, 3}), bias);
             }),
             Catch::Contains("linear with weights [1, 3] and float64 bias [2]"));
}

}  // namespace lacuna::test::ops
