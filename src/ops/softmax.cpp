#include "ops/softmax.h"

#include <array>

#include "kernels/softmax.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

const Operation softmax_gradient_operation = {.name = "softmax_gradient", .in_place = true};
const Operation log_softmax_gradient_operation = {.name = "log_softmax_gradient", .in_place = true};

Tensors gradient_of(const Operation& operation, const NodePointer& node, const Tensor& dy) {
  const Tensor y(node, 0);
  Tensors inputs = {dy, y};
  Tensors result(node->inputs.size());
  const size_t temperature = operands::Softmax::temperature;
  if (node->inputs.size() > temperature) inputs.push_back(node->inputs[temperature]);
  result[0] = record_one(operation, std::move(inputs), {y.dtype(), y.shape()});
  return result;
}

Tensors softmax_gradient(const NodePointer& node, const Tensors& dy) {
  return gradient_of(softmax_gradient_operation, node, dy[0]);
}

Tensors log_softmax_gradient(const NodePointer& node, const Tensors& dy) {
  return gradient_of(log_softmax_gradient_operation, node, dy[0]);
}

const Operation softmax_operation = {
    .name = "softmax", .gradient = softmax_gradient, .in_place = true};
const Operation log_softmax_operation = {
    .name = "log_softmax", .gradient = log_softmax_gradient, .in_place = true};

Tensor record_softmax(const Operation& operation, const Tensor& x, const Tensor& temperature) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 1 && x.shape()[-1] > 0, operation.name,
               " of ", name_of(x.dtype()), " ", x.shape());
  Tensors inputs = {x};
  if (temperature.defined()) {
    LACUNA_CHECK(temperature.dtype() == DType::f64 && temperature.shape() == Shape{},
                 operation.name, " with a temperature of ", name_of(temperature.dtype()), " ",
                 temperature.shape());
    inputs.push_back(temperature);
  }
  return record_one(operation, std::move(inputs), {x.dtype(), x.shape()});
}

}  // namespace

Tensor softmax(const Tensor& x, const Tensor& temperature) {
  return record_softmax(softmax_operation, x, temperature);
}

Tensor log_softmax(const Tensor& x, const Tensor& temperature) {
  return record_softmax(log_softmax_operation, x, temperature);
}

std::span<const Operation* const> softmax_operations() {
  static constexpr std::array all = {
      &softmax_operation,
      &softmax_gradient_operation,
      &log_softmax_operation,
      &log_softmax_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
