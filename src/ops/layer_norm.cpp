#include "ops/layer_norm.h"

#include <array>

#include "kernels/layer_norm.h"
#include "ops/types.h"

namespace lacuna {

namespace {

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  using Operand = operands::LayerNorm;
  const Tensor& x = node->inputs[Operand::x];
  const Tensor& gamma = node->inputs[Operand::gamma];
  const Spec parameter{gamma.dtype(), gamma.shape()};
  const NodePointer made =
      record(layer_norm_gradient_operation,
             {dy[0], x, Tensor(node, Operand::mean), Tensor(node, Operand::rstd), gamma},
             {{x.dtype(), x.shape()}, parameter, parameter}, node->attributes);
  return {Tensor(made, 0), Tensor(made, 1), Tensor(made, 2)};
}

}  // namespace

const Operation layer_norm_operation = {.name = "layer_norm", .gradient = gradient};
const Operation layer_norm_gradient_operation = {.name = "layer_norm_gradient"};

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon) {
  const DType parameter = parameter_type(x.dtype());
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 1 && x.shape()[-1] > 0 && epsilon > 0,
               "layer_norm of ", name_of(x.dtype()), " ", x.shape(), " with epsilon ", epsilon);
  const Shape features{x.shape()[-1]};
  for (const Tensor& p : {gamma, beta}) {
    LACUNA_CHECK(p.shape() == features && p.dtype() == parameter, "layer_norm of ",
                 name_of(x.dtype()), " ", x.shape(), " by ", name_of(p.dtype()), " ", p.shape());
  }
  const Spec per_row{parameter, Shape{x.shape().count() / features[0]}};
  return {record(layer_norm_operation, {x, gamma, beta}, {{x.dtype(), x.shape()}, per_row, per_row},
                 LayerNormAttributes{epsilon}),
          0};
}

std::span<const Operation* const> layer_norm_operations() {
  static constexpr std::array all = {
      &layer_norm_operation,
      &layer_norm_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
