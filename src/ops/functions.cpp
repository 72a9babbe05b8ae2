#include "ops/functions.h"

#include <array>

#include "kernels/functions.h"
#include "ops/elementwise.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

const Operation square_root_gradient_operation = {.name = "square_root_gradient", .in_place = true};
const Operation tanh_gradient_operation = {.name = "tanh_gradient", .in_place = true};
const Operation sigmoid_gradient_operation = {.name = "sigmoid_gradient", .in_place = true};
const Operation silu_gradient_operation = {.name = "silu_gradient", .in_place = true};
const Operation divide_gradient_operation = {.name = "divide_gradient", .in_place = true};

Tensor record_alike(const Operation& operation, Tensors inputs) {
  const Spec output{inputs[0].dtype(), inputs[0].shape()};
  return record_one(operation, std::move(inputs), output);
}

Tensors exp_gradient(const NodePointer& node, const Tensors& dy) {
  return {multiply(dy[0], Tensor(node, 0))};
}

Tensors log_gradient(const NodePointer& node, const Tensors& dy) {
  return {divide(dy[0], node->inputs[0])};
}

Tensors square_root_gradient(const NodePointer& node, const Tensors& dy) {
  return {record_alike(square_root_gradient_operation, {dy[0], Tensor(node, 0)})};
}

Tensors tanh_gradient(const NodePointer& node, const Tensors& dy) {
  return {record_alike(tanh_gradient_operation, {dy[0], Tensor(node, 0)})};
}

Tensors sigmoid_gradient(const NodePointer& node, const Tensors& dy) {
  return {record_alike(sigmoid_gradient_operation, {dy[0], Tensor(node, 0)})};
}

Tensors silu_gradient(const NodePointer& node, const Tensors& dy) {
  return {record_alike(silu_gradient_operation, {dy[0], node->inputs[0]})};
}

Tensors divide_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& b = node->inputs[1];
  const Spec output{b.dtype(), b.shape()};
  const NodePointer made =
      record(divide_gradient_operation, {dy[0], b, Tensor(node, 0)}, {output, output});
  return {Tensor(made, operands::DivideGradient::da), Tensor(made, operands::DivideGradient::db)};
}

const Operation exp_operation = {.name = "exp", .gradient = exp_gradient, .in_place = true};
const Operation log_operation = {.name = "log", .gradient = log_gradient, .in_place = true};
const Operation square_root_operation = {
    .name = "square_root", .gradient = square_root_gradient, .in_place = true};
const Operation tanh_operation = {.name = "tanh", .gradient = tanh_gradient, .in_place = true};
const Operation sigmoid_operation = {
    .name = "sigmoid", .gradient = sigmoid_gradient, .in_place = true};
const Operation silu_operation = {.name = "silu", .gradient = silu_gradient, .in_place = true};
const Operation divide_operation = {
    .name = "divide", .gradient = divide_gradient, .in_place = true};

Tensor function_of(const Operation& operation, const Tensor& x) {
  LACUNA_CHECK(is_float(x.dtype()), operation.name, " of ", name_of(x.dtype()));
  return record_alike(operation, {x});
}

}  // namespace

Tensor exp(const Tensor& x) { return function_of(exp_operation, x); }
Tensor log(const Tensor& x) { return function_of(log_operation, x); }
Tensor square_root(const Tensor& x) { return function_of(square_root_operation, x); }
Tensor tanh(const Tensor& x) { return function_of(tanh_operation, x); }
Tensor sigmoid(const Tensor& x) { return function_of(sigmoid_operation, x); }
Tensor silu(const Tensor& x) { return function_of(silu_operation, x); }

Tensor divide(const Tensor& a, const Tensor& b) {
  LACUNA_CHECK(is_float(a.dtype()) && a.shape() == b.shape() && a.dtype() == b.dtype(),
               "divide of ", name_of(a.dtype()), " ", a.shape(), " by ", name_of(b.dtype()), " ",
               b.shape());
  return record_alike(divide_operation, {a, b});
}

std::span<const Operation* const> functions_operations() {
  static constexpr std::array all = {
      &exp_operation,         &log_operation,
      &square_root_operation, &square_root_gradient_operation,
      &tanh_operation,        &tanh_gradient_operation,
      &sigmoid_operation,     &sigmoid_gradient_operation,
      &silu_operation,        &silu_gradient_operation,
      &divide_operation,      &divide_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
