#include "ops/scalars.h"

#include <array>

#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

bool is_scalar_of(const Tensor& scalar, const Tensor& x) {
  return scalar.shape() == Shape{} &&
         (scalar.dtype() == DType::f64 || scalar.dtype() == parameter_type(x.dtype()));
}

Tensors scale_by_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& x = node->inputs[0];
  const Tensor& factor = node->inputs[1];
  return {scale_by(dy[0], factor), dot(dy[0], x, factor.dtype())};
}

Tensors dot_gradient(const NodePointer& node, const Tensors& ds) {
  return {scale_by(node->inputs[1], ds[0]), scale_by(node->inputs[0], ds[0])};
}

Tensors reverse_gradient_gradient(const NodePointer& node, const Tensors& dy) {
  return {scale_by(dy[0], scale(node->inputs[1], -1)), Tensor()};
}

const Operation scale_by_operation = {
    .name = "scale_by", .gradient = scale_by_gradient, .in_place = true};
const Operation dot_operation = {.name = "dot", .gradient = dot_gradient};
const Operation reverse_gradient_operation = {.name = "reverse_gradient",
                                              .kind = Operation::Kind::view,
                                              .gradient = reverse_gradient_gradient};
const Operation inverse_count_operation = {.name = "inverse_count", .gradient = no_gradient};

}  // namespace

Tensor scale_by(const Tensor& x, const Tensor& factor) {
  LACUNA_CHECK(is_float(x.dtype()) && is_scalar_of(factor, x), "scale_by of ", name_of(x.dtype()),
               " ", x.shape(), " and ", name_of(factor.dtype()), " ", factor.shape());
  return record_one(scale_by_operation, {x, factor}, {x.dtype(), x.shape()});
}

Tensor dot(const Tensor& a, const Tensor& b, DType dtype) {
  LACUNA_CHECK(is_float(a.dtype()) && a.dtype() == b.dtype() && a.shape() == b.shape() &&
                   (dtype == DType::f64 || dtype == parameter_type(a.dtype())),
               "dot of ", name_of(a.dtype()), " ", a.shape(), " and ", name_of(b.dtype()), " ",
               b.shape(), " as ", name_of(dtype));
  return record_one(dot_operation, {a, b}, {dtype, Shape{}});
}

Tensor reverse_gradient(const Tensor& x, const Tensor& strength) {
  LACUNA_CHECK(is_float(x.dtype()) && is_scalar_of(strength, x), "reverse_gradient of ",
               name_of(x.dtype()), " ", x.shape(), " by ", name_of(strength.dtype()), " ",
               strength.shape());
  return record_one(reverse_gradient_operation, {x, strength}, {x.dtype(), x.shape()});
}

Tensor inverse_count(const Tensor& n) {
  LACUNA_CHECK(n.dtype() == DType::f64, "inverse_count of ", name_of(n.dtype()), " ", n.shape());
  return record_one(inverse_count_operation, {n}, {n.dtype(), n.shape()});
}

std::span<const Operation* const> scalars_operations() {
  static constexpr std::array all = {
      &scale_by_operation,
      &dot_operation,
      &reverse_gradient_operation,
      &inverse_count_operation,
  };
  return all;
}

}  // namespace lacuna
