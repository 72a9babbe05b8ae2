#include "ops/elementwise.h"

#include <array>

#include "graph/differentiate.h"
#include "kernels/elementwise.h"
#include "ops/matrix_product.h"
#include "ops/shape.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

void check_alike(std::string_view operation, const Tensor& a, const Tensor& b) {
  LACUNA_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), operation, " of ",
               name_of(a.dtype()), " ", a.shape(), " and ", name_of(b.dtype()), " ", b.shape());
}

Tensors scale_gradient(const NodePointer& node, const Tensors& dy) {
  return {scale(dy[0], node->attributes.as<Scale>().factor)};
}

Tensors multiply_gradient(const NodePointer& node, const Tensors& dy) {
  return {multiply(dy[0], node->inputs[1]), multiply(dy[0], node->inputs[0])};
}

// d(x (1 - m)) = dx (1 - m): the operation is its own gradient. None flows to the mask.
Tensors hide_gradient(const NodePointer& node, const Tensors& dy) {
  return {hide(dy[0], node->inputs[1]), Tensor()};
}

Tensors relu_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor y(node, 0);
  return {record_one(relu_gradient_operation, {dy[0], y}, {y.dtype(), y.shape()})};
}

Tensors gelu_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& x = node->inputs[0];
  return {record_one(gelu_gradient_operation, {dy[0], x}, {x.dtype(), x.shape()})};
}

Tensors add_to_each_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& p = node->inputs[1];
  return {dy[0], reshape(column_sum(flatten(dy[0]), p.dtype()), p.shape())};
}

Tensors scale_rows_gradient(const NodePointer& node, const Tensors& dy) {
  return {scale_rows(dy[0], node->inputs[1]), Tensor()};
}

Tensors cast_gradient(const NodePointer& node, const Tensors& dy) {
  const DType dtype = node->inputs[0].dtype();
  return {is_float(dtype) ? cast(dy[0], dtype) : Tensor()};
}

}  // namespace

const Operation scale_operation = {.name = "scale", .gradient = scale_gradient, .in_place = true};
const Operation multiply_operation = {
    .name = "multiply", .gradient = multiply_gradient, .in_place = true};
const Operation hide_operation = {.name = "hide", .gradient = hide_gradient, .in_place = true};
const Operation relu_operation = {.name = "relu", .gradient = relu_gradient, .in_place = true};
const Operation relu_gradient_operation = {.name = "relu_gradient", .in_place = true};
const Operation gelu_operation = {.name = "gelu", .gradient = gelu_gradient, .in_place = true};
const Operation gelu_gradient_operation = {.name = "gelu_gradient", .in_place = true};
const Operation add_to_each_operation = {
    .name = "add_to_each", .gradient = add_to_each_gradient, .in_place = true};
const Operation scale_rows_operation = {
    .name = "scale_rows", .gradient = scale_rows_gradient, .in_place = true};
const Operation cast_operation = {.name = "cast", .gradient = cast_gradient};
const Operation squared_norm_operation = {.name = "squared_norm"};
const Operation count_correct_operation = {.name = "count_correct", .gradient = no_gradient};

Tensor add(const Tensor& a, const Tensor& b) { return accumulate({a, b}); }

Tensor subtract(const Tensor& a, const Tensor& b) { return accumulate({a, scale(b, -1)}); }

Tensor scale(const Tensor& x, double factor) {
  LACUNA_CHECK(is_float(x.dtype()), "scale of ", name_of(x.dtype()));
  return record_one(scale_operation, {x}, {x.dtype(), x.shape()}, Scale{factor});
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  check_alike("multiply", a, b);
  return record_one(multiply_operation, {a, b}, {a.dtype(), a.shape()});
}

Tensor hide(const Tensor& x, const Tensor& mask) {
  Shape expected = x.shape();
  expected.set(-1, 1);
  LACUNA_CHECK(is_float(x.dtype()) && mask.shape() == expected && mask.dtype() == x.dtype(),
               "hide of ", name_of(x.dtype()), " ", x.shape(), " by ", name_of(mask.dtype()), " ",
               mask.shape());
  return record_one(hide_operation, {x, mask}, {x.dtype(), x.shape()});
}

Tensor relu(const Tensor& x) {
  LACUNA_CHECK(is_float(x.dtype()), "relu of ", name_of(x.dtype()));
  return record_one(relu_operation, {x}, {x.dtype(), x.shape()});
}

Tensor gelu(const Tensor& x) {
  LACUNA_CHECK(is_float(x.dtype()), "gelu of ", name_of(x.dtype()));
  return record_one(gelu_operation, {x}, {x.dtype(), x.shape()});
}

Tensor add_to_each(const Tensor& x, const Tensor& p) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 1 && x.shape().from(1) == p.shape() &&
                   p.dtype() == parameter_type(x.dtype()),
               "add_to_each of ", name_of(x.dtype()), " ", x.shape(), " and ", name_of(p.dtype()),
               " ", p.shape());
  return record_one(add_to_each_operation, {x, p}, {x.dtype(), x.shape()});
}

Tensor scale_rows(const Tensor& x, const Tensor& factors) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 1 &&
                   factors.shape() == Shape{x.shape()[0]} &&
                   factors.dtype() == parameter_type(x.dtype()),
               "scale_rows of ", name_of(x.dtype()), " ", x.shape(), " by ",
               name_of(factors.dtype()), " ", factors.shape());
  return record_one(scale_rows_operation, {x, factors}, {x.dtype(), x.shape()});
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record_one(cast_operation, {x}, {dtype, x.shape()});
}

Tensor squared_norm(const Tensors& x) {
  LACUNA_CHECK(!x.empty());
  for (const Tensor& part : x) {
    LACUNA_CHECK(part.dtype() == x[0].dtype(), "squared_norm of ", name_of(x[0].dtype()), " and ",
                 name_of(part.dtype()));
  }
  return record_one(squared_norm_operation, x, {DType::f64, Shape{}});
}

Tensor count_correct(const Tensor& logits, const Tensor& labels) {
  LACUNA_CHECK(logits.shape().rank() == 2 && labels.shape() == Shape{logits.shape()[0]} &&
                   labels.dtype() == DType::i64,
               "count_correct of logits ", logits.shape(), " and ", name_of(labels.dtype()),
               " labels ", labels.shape());
  return record_one(count_correct_operation, {logits, labels}, {DType::f64, Shape{}});
}

std::span<const Operation* const> elementwise_operations() {
  static constexpr std::array all = {
      &accumulate_operation,    &scale_operation,         &multiply_operation,
      &hide_operation,          &relu_operation,          &relu_gradient_operation,
      &gelu_operation,          &gelu_gradient_operation, &add_to_each_operation,
      &scale_rows_operation,    &cast_operation,          &squared_norm_operation,
      &count_correct_operation,
  };
  return all;
}

}  // namespace lacuna
