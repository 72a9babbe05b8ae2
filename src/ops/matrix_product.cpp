#include "ops/matrix_product.h"

#include "graph/differentiate.h"
#include "kernels/matrix_product.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
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

// Gradients by a, b and bias of a product whose inputs these are.
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
  if (sizes.bias) result.push_back(column_sum(dy, node->inputs[2].dtype()));
  return result;
}

Tensors matrix_product_gradient(const NodePointer& node, const Tensors& gradients) {
  return product_gradients(node, gradients[0]);
}

Tensor product_of(const NodePointer& node) {
  Tensors inputs(node->inputs.begin(), node->inputs.end());
  const auto sizes = node->attributes.as<MatrixProduct>();
  inputs.resize(sizes.bias != 0 ? 3 : 2);
  return record_one(matrix_product_operation, std::move(inputs), node->outputs[0], sizes);
}

Tensors product_added_gradient(const NodePointer& node, const Tensors& gradients) {
  Tensors result = product_gradients(node, gradients[0]);
  result.push_back(gradients[0]);
  return result;
}

Tensors product_added_composition(const NodePointer& node) {
  return {accumulate({product_of(node), node->inputs.back()})};
}

// The product of which x is the result, seen through reshapes; nullptr for anything else.
NodePointer product_behind(Tensor x) {
  while (x.node()->operation == &reshape_operation) x = x.node()->inputs[0];
  const NodePointer& node = x.node();
  const bool plain = node->operation == &matrix_product_operation && node->inputs.size() == 2 &&
                     x.dtype() == node->inputs[0].dtype();
  return plain ? node : nullptr;
}

// d z = gelu'(z) d h: where d h is a product itself, in one operation with it.
Tensor gelu_backward(const Tensor& dh, const Tensor& z) {
  const NodePointer product = product_behind(dh);
  if (product == nullptr || product->outputs[0].shape != z.shape())
    return record_one(gelu_gradient_operation, {dh, z}, {z.dtype(), z.shape()});
  return record_one(product_gelu_gradient_operation, {product->inputs[0], product->inputs[1], z},
                    {z.dtype(), z.shape()}, product->attributes);
}

Tensors product_gelu_gradient(const NodePointer& node, const Tensors& gradients) {
  LACUNA_CHECK(!gradients[1].defined(), "what goes into a GELU beside it");
  return product_gradients(node, gelu_backward(gradients[0], Tensor(node, 1)));
}

Tensors product_gelu_composition(const NodePointer& node) {
  const Tensor z = product_of(node);
  return {gelu(z), z};
}

Tensors product_gelu_gradient_composition(const NodePointer& node) {
  return {
      record_one(gelu_gradient_operation, {product_of(node), node->inputs[2]}, node->outputs[0])};
}

}  // namespace

const Operation matrix_product_operation = {.name = "matrix_product",
                                            .gradient = matrix_product_gradient};
const Operation product_added_operation = {.name = "product_added",
                                           .gradient = product_added_gradient,
                                           .composition = product_added_composition};
const Operation product_gelu_operation = {.name = "product_gelu",
                                          .gradient = product_gelu_gradient,
                                          .composition = product_gelu_composition};
const Operation product_gelu_gradient_operation = {
    .name = "product_gelu_gradient", .composition = product_gelu_gradient_composition};
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

// The attributes and inputs of linear(x, w, bias), for what is more than a product.
struct LinearParts {
  LinearParts(const Tensor& x, const Tensor& w, const Tensor& bias) {
    const NodePointer node = linear(x, w, bias).node();
    inputs = node->inputs;
    attributes = node->attributes;
    output = node->outputs[0];
  }
  Tensors inputs;
  Attributes attributes;
  Spec output;
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  check_linear(x, w, bias);
  return product(x, false, w, true, x.dtype(), bias);
}

Tensor linear_added(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& residual) {
  LinearParts parts(x, w, bias);
  LACUNA_CHECK(residual.dtype() == x.dtype() && residual.shape() == parts.output.shape,
               "linear added to ", name_of(residual.dtype()), " ", residual.shape());
  parts.inputs.push_back(residual);
  return record_one(product_added_operation, std::move(parts.inputs), parts.output,
                    parts.attributes);
}

Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias) {
  LinearParts parts(x, w, bias);
  return {record(product_gelu_operation, std::move(parts.inputs), {parts.output, parts.output},
                 parts.attributes),
          0};
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

}  // namespace lacuna
