#include "ops/squared_error.h"

#include <array>

#include "kernels/losses.h"
#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Tensors gradient(const NodePointer& node, const Tensors& dloss) {
  const Tensor& a = node->inputs[0];
  Tensors inputs = {dloss[0]};
  inputs.insert(inputs.end(), node->inputs.begin(), node->inputs.end());
  const Tensor da = record_one(squared_error_gradient_operation, std::move(inputs),
                               {a.dtype(), a.shape()}, node->attributes);
  Tensors result = {da, scale(da, -1)};
  result.resize(node->inputs.size());
  return result;
}

// factor |a - b|^2, for want of weights.
Tensors composition(const NodePointer& node) {
  const auto parameters = node->attributes.as<SquaredError>();
  if (parameters.weighted) return {};
  const Tensor sum = squared_norm({subtract(node->inputs[0], node->inputs[1])});
  return {scale(cast(sum, node->outputs[0].dtype), parameters.factor)};
}

}  // namespace

const Operation squared_error_operation = {
    .name = "squared_error", .gradient = gradient, .composition = composition};
const Operation squared_error_gradient_operation = {.name = "squared_error_gradient"};

Tensor squared_error(const Tensor& a, const Tensor& b, double factor, const Tensor& weights) {
  LACUNA_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype() && a.shape().rank() >= 1,
               "squared_error of ", name_of(a.dtype()), " ", a.shape(), " and ", name_of(b.dtype()),
               " ", b.shape());
  const DType dtype = parameter_type(a.dtype());
  Tensors inputs = {cast(a, dtype), cast(b, dtype)};
  if (weights.defined()) {
    Shape positions = a.shape();
    positions.set(-1, 1);
    LACUNA_CHECK(weights.shape() == positions && is_float(weights.dtype()), "squared_error of ",
                 a.shape(), " with ", name_of(weights.dtype()), " weights ", weights.shape());
    inputs.push_back(cast(weights, dtype));
  }
  return record_one(squared_error_operation, std::move(inputs), {dtype, Shape{}},
                    SquaredError{factor, weights.defined()});
}

std::span<const Operation* const> squared_error_operations() {
  static constexpr std::array all = {
      &squared_error_operation,
      &squared_error_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
