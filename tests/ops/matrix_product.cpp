#include "ops/matrix_product.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> matrix_product_cases() {
  const auto with_bias = [](const auto& x) { return linear(x[0], x[1], x[2]); };
  const auto plain = [](const auto& x) { return linear(x[0], x[1]); };
  std::vector<Case> cases = {
      {"linear with bias",
       {activation(Shape{5, 7}), parameter(Shape{3, 7}), parameter(Shape{3})},
       with_bias},
      {"linear of one row",
       {activation(Shape{1, 5}), parameter(Shape{7, 5}), parameter(Shape{7})},
       with_bias},
      {"linear to one output", {activation(Shape{9, 4}), parameter(Shape{1, 4})}, plain},
      {"linear of no rows",
       {constant(activation(Shape{0, 5})), parameter(Shape{7, 5})},
       plain,
       false},
      {"linear of many",
       {activation(Shape{65, 130}), parameter(Shape{67, 130}), parameter(Shape{67})},
       with_bias,
       true,
       true},
  };
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      cases.push_back(
          {concat("matmul", ta ? " transposed" : "", tb ? " by transposed" : ""),
           {activation(ta ? Shape{5, 3} : Shape{3, 5}), activation(tb ? Shape{4, 5} : Shape{5, 4})},
           [=](const auto& x) { return matmul(x[0], x[1], ta, tb); }});
    }
  }
  cases.push_back({"matmul of a matrix with itself", {activation(Shape{4, 6})}, [](const auto& x) {
                     return matmul(x[0], x[0], false, true);
                   }});
  return cases;
}

TEST_CASE("matrix products have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {1, 2, 3, 4});
  const Tensor w = leaf(Shape{3, 2}, {1, 0, 0, 1, 1, -1});
  const Tensor bias = leaf(Shape{3}, {10, 20, 30});
  CHECK_CLOSE(compute(linear(x, w, bias)), {11, 22, 29, 13, 24, 29});
  CHECK_CLOSE(compute(matmul(x, x)), {7, 10, 15, 22});
  CHECK_CLOSE(compute(matmul(x, x, true, false)), {10, 14, 14, 20});
  CHECK_CLOSE(compute(column_sum(x, DType::f64)), {4, 6});
  const auto gradients = compute_gradients(linear(x, w, bias), {x, w, bias});
  CHECK_CLOSE(gradients[0], {2, 0, 2, 0});
  CHECK_CLOSE(gradients[1], {4, 6, 4, 6, 4, 6});
  CHECK_CLOSE(gradients[2], {2, 2, 2});
}

TEST_CASE("parameters beside bfloat16 activations get gradients of their own type", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2}, {1, 2}, DType::bf16);
  const Tensor w = leaf(Shape{3, 2}, {1, 0, 0, 1, 1, -1}, DType::f32);
  const Tensor y = linear(x, w);
  CHECK(y.dtype() == DType::bf16);
  const std::vector<Tensor> gradients = y.node()->operation->gradient(y.node(), {y});
  CHECK(gradients[0].dtype() == DType::bf16);
  CHECK(gradients[1].dtype() == DType::f32);
}

TEST_CASE("matrix products refuse shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2}, {1, 2});
  const Tensor w = leaf(Shape{1, 3}, {1, 2, 3});
  CHECK_THAT(death_message([&] { linear(x, w); }),
             Catch::Contains("matrix product of [1, 2] and [1, 3]^T"));
  CHECK_THAT(death_message([&] { linear(x, x, w); }),
             Catch::Contains("linear with weights [1, 2] and float64 bias [1, 3]"));
}

}  // namespace lacuna::test::ops
