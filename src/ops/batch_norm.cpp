#include "ops/batch_norm.h"

#include <array>

#include "kernels/batch_norm.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Shape moments_shape(int64_t channels) { return Shape{1 + 2 * channels}; }

// The gradient of batch_norm before its ReLU.
Tensor before_relu(const Tensor& dy, const Tensor& y) {
  return record_one(relu_gradient_operation, {dy, y}, {y.dtype(), y.shape()});
}

Tensors apply_gradient(const NodePointer& node, const Tensors& gradients) {
  using Operand = operands::BatchNormApply;
  const Tensor& x = node->inputs[Operand::x];
  const Tensor& moments = node->inputs[Operand::moments];
  const Tensor& gamma = node->inputs[Operand::gamma];
  const Tensor& beta = node->inputs[Operand::beta];
  const Tensor& dy = gradients[0];
  const auto options = node->attributes.as<BatchNormAttributes>();
  // Only a ReLU's gradient reads y: otherwise it need not be kept.
  const Tensor y = options.relu ? Tensor(node, 0) : dy;

  const Tensor sums =
      record_one(batch_norm_gradient_statistics_operation, {dy, x, y, moments, gamma, beta},
                 {DType::f64, Shape{2 * x.shape()[-1]}}, options);
  const NodePointer parameters =
      record(batch_norm_parameter_gradient_operation, {sums},
             {{gamma.dtype(), gamma.shape()}, {beta.dtype(), beta.shape()}});
  const bool over_ranks = node->communicator != nullptr && !options.fixed;
  const Tensor global_sums = over_ranks ? all_reduce_sum(sums, *node->communicator) : sums;
  std::vector<Spec> outputs = {{x.dtype(), x.shape()}};
  if (options.residual) outputs.push_back(outputs[0]);
  const NodePointer apply =
      record(batch_norm_gradient_apply_operation, {dy, x, y, moments, global_sums, gamma, beta},
             std::move(outputs), options);

  Tensors result = {Tensor(apply, 0), Tensor(), Tensor(parameters, 0), Tensor(parameters, 1)};
  if (options.residual) result.emplace_back(apply, 1);
  return result;
}

// relu(plain + residual)
Tensors apply_composition(const NodePointer& node) {
  auto options = node->attributes.as<BatchNormAttributes>();
  if (!options.relu && !options.residual) return {};
  BatchNormAttributes plain = options;
  plain.relu = plain.residual = 0;
  Tensor y = record_one(batch_norm_apply_operation,
                        {node->inputs.begin(), node->inputs.begin() + 4}, node->outputs[0], plain);
  if (options.residual) y = add(y, node->inputs[operands::BatchNormApply::residual]);
  if (options.relu) y = relu(y);
  return {y};
}

Tensors gradient_statistics_composition(const NodePointer& node) {
  auto options = node->attributes.as<BatchNormAttributes>();
  if (!options.relu) return {};
  options.relu = 0;
  using Operand = operands::BatchNormGradientStatistics;
  Tensors inputs = node->inputs;
  inputs[Operand::dy] = before_relu(inputs[Operand::dy], inputs[Operand::y]);
  inputs[Operand::y] = inputs[Operand::dy];
  return {record_one(batch_norm_gradient_statistics_operation, std::move(inputs), node->outputs[0],
                     options)};
}

Tensors gradient_apply_composition(const NodePointer& node) {
  const auto options = node->attributes.as<BatchNormAttributes>();
  if (!options.relu && !options.residual) return {};
  BatchNormAttributes plain = options;
  plain.relu = plain.residual = 0;
  using Operand = operands::BatchNormGradientApply;
  Tensors inputs = node->inputs;
  const Tensor g =
      options.relu ? before_relu(inputs[Operand::dy], inputs[Operand::y]) : inputs[Operand::dy];
  inputs[Operand::dy] = inputs[Operand::y] = g;
  Tensors result = {
      record_one(batch_norm_gradient_apply_operation, std::move(inputs), node->outputs[0], plain)};
  if (options.residual) result.push_back(g);
  return result;
}

}  // namespace

const Operation batch_norm_statistics_operation = {.name = "batch_norm_statistics"};
const Operation batch_norm_merge_operation = {.name = "batch_norm_merge"};
const Operation batch_norm_fixed_moments_operation = {.name = "batch_norm_fixed_moments",
                                                      .gradient = no_gradient};
const Operation batch_norm_apply_operation = {.name = "batch_norm_apply",
                                              .gradient = apply_gradient,
                                              .composition = apply_composition,
                                              .in_place = false};
const Operation batch_norm_gradient_statistics_operation = {
    .name = "batch_norm_gradient_statistics", .composition = gradient_statistics_composition};
const Operation batch_norm_gradient_apply_operation = {.name = "batch_norm_gradient_apply",
                                                       .composition = gradient_apply_composition};
const Operation batch_norm_parameter_gradient_operation = {.name = "batch_norm_parameter_gradient"};
const Operation batch_norm_running_update_operation = {.name = "batch_norm_running_update"};

Tensor batch_moments(const Tensor& x, Communicator* synchronised) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 2, "batch norm of ", name_of(x.dtype()),
               " ", x.shape());
  const int64_t channels = x.shape()[-1];
  const Shape sums_shape{1 + 4 * channels};
  Tensor sums = reshape(record_one(batch_norm_statistics_operation, {x}, {DType::f64, sums_shape}),
                        sums_shape.behind(1));
  if (synchronised != nullptr && synchronised->size() > 1) {
    const std::vector<int64_t> one_each(static_cast<size_t>(synchronised->size()), 1);
    sums = all_gather(sums, *synchronised, one_each);
  }
  return record_one(batch_norm_merge_operation, {sums}, {DType::f64, moments_shape(channels)});
}

Tensor fixed_moments(const Tensor& mean, const Tensor& variance) {
  LACUNA_CHECK(mean.shape().rank() == 1 && mean.shape() == variance.shape() &&
                   mean.dtype() == variance.dtype(),
               "moments of mean ", mean.shape(), " and variance ", variance.shape());
  return record_one(batch_norm_fixed_moments_operation, {mean, variance},
                    {DType::f64, moments_shape(mean.shape()[0])});
}

Tensor batch_norm(const Tensor& x, const Tensor& moments, const Tensor& gamma, const Tensor& beta,
                  const BatchNormOptions& options) {
  const Shape channels{x.shape()[-1]};
  const DType parameter = parameter_type(x.dtype());
  LACUNA_CHECK(
      x.shape().rank() >= 2 && moments.dtype() == DType::f64 &&
          moments.shape() == moments_shape(channels[0]) && gamma.shape() == channels &&
          beta.shape() == channels && gamma.dtype() == parameter && beta.dtype() == parameter,
      "batch norm of ", name_of(x.dtype()), " ", x.shape(), " with moments ", moments.shape(), ", ",
      name_of(gamma.dtype()), " gamma ", gamma.shape(), " and beta ", beta.shape());
  Tensors inputs = {x, moments, gamma, beta};
  if (options.residual.defined()) {
    LACUNA_CHECK(options.residual.shape() == x.shape() && options.residual.dtype() == x.dtype(),
                 "batch norm of ", x.shape(), " with residual ", options.residual.shape());
    inputs.push_back(options.residual);
  }
  const BatchNormAttributes attributes = {
      .epsilon = options.epsilon,
      .relu = options.relu,
      .residual = options.residual.defined(),
      .fixed = moments.node()->operation == &batch_norm_fixed_moments_operation};
  return {record(batch_norm_apply_operation, std::move(inputs), {{x.dtype(), x.shape()}},
                 attributes, options.communicator),
          0};
}

Update running_update(const Tensor& moments, State& mean, State& variance, double momentum) {
  LACUNA_CHECK(mean.shape() == variance.shape() && mean.shape().rank() == 1 &&
                   moments.shape() == moments_shape(mean.shape()[0]),
               "running statistics ", mean.shape(), " from moments ", moments.shape());
  return {
      &batch_norm_running_update_operation, {moments}, {&mean, &variance}, RunningUpdate{momentum}};
}

std::span<const Operation* const> batch_norm_operations() {
  static constexpr std::array all = {
      &batch_norm_statistics_operation,          &batch_norm_merge_operation,
      &batch_norm_fixed_moments_operation,       &batch_norm_apply_operation,
      &batch_norm_gradient_statistics_operation, &batch_norm_gradient_apply_operation,
      &batch_norm_parameter_gradient_operation,  &batch_norm_running_update_operation,
  };
  return all;
}

}  // namespace lacuna
