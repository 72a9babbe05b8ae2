#include "ops/masked_mean.h"

#include <array>

namespace lacuna {

namespace {

const Operation masked_mean_gradient_operation = {.name = "masked_mean_gradient"};

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  const Tensor& x = node->inputs[0];
  return {
      record_one(masked_mean_gradient_operation, {dy[0], node->inputs[1]}, {x.dtype(), x.shape()}),
      Tensor()};
}

const Operation masked_mean_operation = {.name = "masked_mean", .gradient = gradient};

}  // namespace

Tensor masked_mean(const Tensor& x, const Tensor& mask) {
  const Shape& shape = x.shape();
  LACUNA_CHECK(is_float(x.dtype()) && shape.rank() == 3 && mask.dtype() == x.dtype() &&
                   mask.shape() == (Shape{shape[0], shape[1]}),
               "masked_mean of ", name_of(x.dtype()), " ", shape, " by ", name_of(mask.dtype()),
               " ", mask.shape());
  return record_one(masked_mean_operation, {x, mask}, {x.dtype(), Shape{shape[0], shape[2]}});
}

std::span<const Operation* const> masked_mean_operations() {
  static constexpr std::array all = {
      &masked_mean_operation,
      &masked_mean_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
