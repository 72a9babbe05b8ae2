#include "ops/masks.h"

#include <array>

#include "ops/pooling.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

std::vector<Tensor> keep_gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  return {keep(dy[0], node->inputs[1]), Tensor()};
}

}  // namespace

const Operation keep_operation = {.name = "keep", .gradient = keep_gradient, .in_place = true};

Tensor keep(const Tensor& x, const Tensor& mask) {
  const Shape& shape = x.shape();
  LACUNA_CHECK(is_float(x.dtype()) && shape.rank() >= 1 && mask.dtype() == x.dtype() &&
                   mask.shape() == shape.slice(0, shape.rank() - 1),
               "keep of ", name_of(x.dtype()), " ", shape, " by ", name_of(mask.dtype()), " ",
               mask.shape());
  return record_one(keep_operation, {x, mask}, {x.dtype(), shape});
}

Tensor strided_mask(const Tensor& mask, int64_t stride) {
  LACUNA_CHECK(is_float(mask.dtype()) && mask.shape().rank() == 2 && stride > 0, "strided_mask of ",
               name_of(mask.dtype()), " ", mask.shape(), " by ", stride);
  if (stride == 1) return mask;
  const Shape& shape = mask.shape();
  const Tensor every = max_pool(reshape(mask, {shape[0], shape[1], 1}), 1, stride, 0);
  return reshape(every, {shape[0], every.shape()[1]});
}

std::span<const Operation* const> masks_operations() {
  static constexpr std::array all = {&keep_operation};
  return all;
}

}  // namespace lacuna
