#include "ops/product_gelu.h"

#include <array>

#include "kernels/product_gelu.h"
#include "ops/elementwise.h"
#include "ops/matrix_product.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

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
  return {record_one(gelu_gradient_operation,
                     {product_of(node), node->inputs[operands::ProductGeluGradient::z]},
                     node->outputs[0])};
}

}  // namespace

const Operation product_gelu_operation = {.name = "product_gelu",
                                          .gradient = product_gelu_gradient,
                                          .composition = product_gelu_composition};
const Operation product_gelu_gradient_operation = {
    .name = "product_gelu_gradient", .composition = product_gelu_gradient_composition};

Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias) {
  const NodePointer product = linear(x, w, bias).node();
  const Spec& output = product->outputs[0];
  return {record(product_gelu_operation, product->inputs, {output, output}, product->attributes),
          0};
}

std::span<const Operation* const> product_gelu_operations() {
  static constexpr std::array all = {
      &product_gelu_operation,
      &product_gelu_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
