#include "ops/matrix_product.h"

#include <array>

#include "graph/differentiate.h"
#include "kernels/matrix_product.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

// op(a) op(b) (+ bias) as `dtype`.
Tensor product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, DType dtype,
               const Tensor& bias = {}) {
  const bool fits = a.shape().rank() == 2 && b.shape().rank() == 2 &&
                    a.shape()[transpose_a ? 0 : 1] == b.shape()[transpose_b ? 1 : 0];
  LACUNA_CHECK(fits, "matrix product of ", a.shape(), transpose_a ? "^T" : "", " and ", b.shape(),
               transpose_b ? "^T" : "");
  const MatrixProduct sizes = {.m = a.shape()[transpose_a ? 1 : 0],
                               .n = b.shape()[transpose_b ? 0 : 1],
                               .k = a.shape()[transpose_a ? 0 : 1],
                               .transpose_a = transpose_a,
                               .transpose_b = transpose_b,
                               .bias = bias.defined()};
  Tensors inputs = {a, b};
  if (bias.defined()) inputs.push_back(bias);
  return record_one(matrix_product_operation, std::move(inputs), {dtype, Shape{sizes.m, sizes.n}},
                    sizes);
}

}  // namespace

Tensor product_of(const NodePointer& node) {
  Tensors inputs(node->inputs.begin(), node->inputs.end());
  const auto sizes = node->attributes.as<MatrixProduct>();
  inputs.resize(sizes.bias != 0 ? 3 : 2);
  return record_one(matrix_product_operation, std::move(inputs), node->outputs[0], sizes);
}

Tensors product_gradients(const NodePointer& node, const Tensor& dy) {
  const Tensor& a = node->inputs[0];
  const Tensor& b = node->inputs[1];
  const auto sizes = node->attributes.as<MatrixProduct>();
  const bool ta = sizes.transpose_a != 0;
  const bool tb = sizes.transpose_b != 0;
  Tensors result;
  result.push_back(ta ? product(b, tb, dy, true, a.dtype())
                      : product(dy, false, b, !tb, a.dtype()));
  result.push_back(tb ? product(dy, true, a, ta, b.dtype())
                      : product(a, !ta, dy, false, b.dtype()));
  if (sizes.bias)
    result.push_back(column_sum(dy, node->inputs[operands::MatrixProduct::bias].dtype()));
  return result;
}

namespace {

Tensors matrix_product_gradient(const NodePointer& node, const Tensors& gradients) {
  return product_gradients(node, gradients[0]);
}

Tensors product_added_gradient(const NodePointer& node, const Tensors& gradients) {
  Tensors result = product_gradients(node, gradients[0]);
  result.push_back(gradients[0]);
  return result;
}

Tensors product_added_composition(const NodePointer& node) {
  return {accumulate({product_of(node), node->inputs.back()})};
}

}  // namespace

const Operation matrix_product_operation = {.name = "matrix_product",
                                            .gradient = matrix_product_gradient};
const Operation product_added_operation = {.name = "product_added",
                                           .gradient = product_added_gradient,
                                           .composition = product_added_composition};
const Operation column_sum_operation = {.name = "column_sum"};

namespace {

void check_linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  const auto fits = [&](DType dtype) {
    return dtype == x.dtype() || dtype == parameter_type(x.dtype());
  };
  LACUNA_CHECK(is_float(x.dtype()) && fits(w.dtype()), "linear of ", name_of(x.dtype()), " with ",
               name_of(w.dtype()), " weights");
  if (bias.defined()) {
    LACUNA_CHECK(fits(bias.dtype()) && bias.shape() == Shape{w.shape()[0]}, "linear with weights ",
                 w.shape(), " and ", name_of(bias.dtype()), " bias ", bias.shape());
  }
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  check_linear(x, w, bias);
  return product(x, false, w, true, x.dtype(), bias);
}

Tensor linear_added(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& residual) {
  const NodePointer product = linear(x, w, bias).node();
  const Spec& output = product->outputs[0];
  LACUNA_CHECK(residual.dtype() == x.dtype() && residual.shape() == output.shape,
               "linear added to ", name_of(residual.dtype()), " ", residual.shape());
  Tensors inputs = product->inputs;
  inputs.push_back(residual);
  return record_one(product_added_operation, std::move(inputs), output, product->attributes);
}

Tensor column_sum(const Tensor& x, DType dtype) {
  LACUNA_CHECK(x.shape().rank() >= 1);
  return record_one(column_sum_operation, {x}, {dtype, Shape{x.shape()[-1]}});
}

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  LACUNA_CHECK(is_float(a.dtype()) && a.dtype() == b.dtype(), "matmul of ", name_of(a.dtype()),
               " and ", name_of(b.dtype()));
  return product(a, transpose_a, b, transpose_b, a.dtype());
}

std::span<const Operation* const> matrix_product_operations() {
  static constexpr std::array all = {
      &matrix_product_operation,
      &product_added_operation,
      &column_sum_operation,
  };
  return all;
}

}  // namespace lacuna
