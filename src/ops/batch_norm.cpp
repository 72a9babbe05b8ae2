#include "ops/batch_norm.h"

#include <array>

#include "kernels/batch_norm.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/masks.h"
#include "ops/shape.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Shape moments_shape(int64_t channels) { return Shape{1 + 2 * channels}; }

void check_kept(const Tensor& x, const Tensor& mask) {
  if (!mask.defined()) return;
  LACUNA_CHECK(x.node()->operation == &keep_operation && x.node()->inputs[1] == mask,
               "batch norm of ", x.shape(), " with a mask ", mask.shape(),
               " that it was not kept by");
}

// The gradient of batch_norm before its ReLU.
Tensor before_relu(const Tensor& dy, const Tensor& y) {
  return record_one(relu_gradient_operation, {dy, y}, {y.dtype(), y.shape()});
}

struct ApplyGradients {
  Tensor dx, dgamma, dbeta, dresidual;
};

// Of either apply, given the gradient by its output, which is 0 where a mask is.
ApplyGradients gradients_of_apply(const NodePointer& node, const Tensor& dy) {
  using Operand = operands::BatchNormApply;
  const Tensor& x = node->inputs[Operand::x];
  const Tensor& moments = node->inputs[Operand::moments];
  const Tensor& gamma = node->inputs[Operand::gamma];
  const Tensor& beta = node->inputs[Operand::beta];
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

  return {Tensor(apply, 0), Tensor(parameters, 0), Tensor(parameters, 1),
          options.residual ? Tensor(apply, 1) : Tensor()};
}

Tensors apply_gradient(const NodePointer& node, const Tensors& dy) {
  const ApplyGradients of = gradients_of_apply(node, dy[0]);
  Tensors result = {of.dx, Tensor(), of.dgamma, of.dbeta};
  if (of.dresidual.defined()) result.push_back(of.dresidual);
  return result;
}

// What flows through the statistics reaches every position of x; the gradient of keep(), which made
// x, leaves off what does not count.
Tensors masked_apply_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& mask = node->inputs[operands::MaskedBatchNormApply::mask];
  const ApplyGradients of = gradients_of_apply(node, keep(dy[0], mask));
  Tensors result = {of.dx, Tensor(), of.dgamma, of.dbeta, Tensor()};
  if (of.dresidual.defined()) result.push_back(of.dresidual);
  return result;
}

// batch_norm_apply, of which keep() clears what does not count in place: hardly a pass over memory.
Tensors masked_apply_composition(const NodePointer& node) {
  using Operand = operands::MaskedBatchNormApply;
  Tensors inputs = node->inputs;
  inputs.erase(inputs.begin() + Operand::mask);
  return {keep(
      record_one(batch_norm_apply_operation, std::move(inputs), node->outputs[0], node->attributes),
      node->inputs[Operand::mask])};
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
const Operation masked_batch_norm_apply_operation = {.name = "masked_batch_norm_apply",
                                                     .gradient = masked_apply_gradient,
                                                     .composition = masked_apply_composition};
const Operation batch_norm_gradient_statistics_operation = {
    .name = "batch_norm_gradient_statistics", .composition = gradient_statistics_composition};
const Operation batch_norm_gradient_apply_operation = {.name = "batch_norm_gradient_apply",
                                                       .composition = gradient_apply_composition};
const Operation batch_norm_parameter_gradient_operation = {.name = "batch_norm_parameter_gradient"};
const Operation batch_norm_running_update_operation = {.name = "batch_norm_running_update"};

Tensor batch_moments(const Tensor& x, Communicator* synchronised, const Tensor& mask) {
  check_kept(x, mask);
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 2, "batch norm of ", name_of(x.dtype()),
               " ", x.shape());
  const int64_t channels = x.shape()[-1];
  const Shape sums_shape{1 + 4 * channels};
  Tensor sums = record_one(batch_norm_statistics_operation, {x}, {DType::f64, sums_shape});
  // Zeros change neither sum: the number of positions alone differs.
  if (mask.defined())
    sums = concatenate({reshape(squared_norm({mask}), {1}), rows(sums, 1, sums_shape[0])});
  sums = reshape(sums, sums_shape.behind(1));
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
  check_kept(x, options.mask);
  Tensors inputs = {x, moments, gamma, beta};
  if (options.mask.defined()) inputs.push_back(options.mask);
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
  const Operation& operation =
      options.mask.defined() ? masked_batch_norm_apply_operation : batch_norm_apply_operation;
  return {record(operation, std::move(inputs), {{x.dtype(), x.shape()}}, attributes,
                 options.communicator),
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
      &masked_batch_norm_apply_operation,
  };
  return all;
}

}  // namespace lacuna
