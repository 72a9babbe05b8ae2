#include "ops/soft_cross_entropy.h"

#include <array>

#include "kernels/soft_cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

const Operation soft_cross_entropy_gradient_operation = {.name = "soft_cross_entropy_gradient"};

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dloss) {
  using Operand = operands::SoftCrossEntropy;
  const Tensor& logits = node->inputs[Operand::logits];
  const Tensor& targets = node->inputs[Operand::targets];
  return {record_one(soft_cross_entropy_gradient_operation,
                     {dloss[0], logits, targets, Tensor(node, Operand::lse)},
                     {logits.dtype(), logits.shape()}),
          Tensor()};
}

const Operation soft_cross_entropy_operation = {.name = "soft_cross_entropy", .gradient = gradient};

}  // namespace

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  LACUNA_CHECK(logits.shape().rank() == 2 && targets.shape() == logits.shape() &&
                   logits.shape()[1] > 0 && is_float(logits.dtype()) && is_float(targets.dtype()),
               "soft_cross_entropy of ", name_of(logits.dtype()), " logits ", logits.shape(),
               " and ", name_of(targets.dtype()), " targets ", targets.shape());
  const DType dtype = parameter_type(logits.dtype());
  return {record(soft_cross_entropy_operation, {cast(logits, dtype), cast(targets, dtype)},
                 {{dtype, Shape{}}, {dtype, Shape{logits.shape()[0]}}}),
          0};
}

std::span<const Operation* const> soft_cross_entropy_operations() {
  static constexpr std::array all = {
      &soft_cross_entropy_operation,
      &soft_cross_entropy_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
