#include "ops/pooling.h"

#include <array>

#include "kernels/pooling.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

// A gradient operation whose output is like the forward's operand.
Tensor gradient_like_input(const Operation& operation, const NodePointer& node, Tensors inputs) {
  const Tensor& x = node->inputs[0];
  return record_one(operation, std::move(inputs), {x.dtype(), x.shape()}, node->attributes);
}

Tensors max_pool_gradient(const NodePointer& node, const Tensors& dy) {
  return {gradient_like_input(max_pool_gradient_operation, node,
                              {dy[0], node->inputs[0], Tensor(node, 0)})};
}

Tensors average_pool_gradient(const NodePointer& node, const Tensors& dy) {
  return {gradient_like_input(average_pool_gradient_operation, node, {dy[0]})};
}

Tensors upsample_gradient(const NodePointer& node, const Tensors& dy) {
  return {gradient_like_input(upsample_gradient_operation, node, {dy[0]})};
}

}  // namespace

const Operation max_pool_operation = {.name = "max_pool", .gradient = max_pool_gradient};
const Operation max_pool_gradient_operation = {.name = "max_pool_gradient"};
const Operation average_pool_operation = {.name = "average_pool",
                                          .gradient = average_pool_gradient};
const Operation average_pool_gradient_operation = {.name = "average_pool_gradient"};
const Operation upsample_operation = {.name = "upsample", .gradient = upsample_gradient};
const Operation upsample_gradient_operation = {.name = "upsample_gradient"};

Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() == 4 && kernel >= 1 && stride >= 1 &&
                   padding >= 0 && 2 * padding <= kernel,
               "max_pool of ", name_of(x.dtype()), " ", x.shape(), ", kernel ", kernel, ", stride ",
               stride, ", padding ", padding);
  Shape shape = x.shape();
  for (int axis = 1; axis <= 2; ++axis) {
    const int64_t room = x.shape()[axis] + 2 * padding - kernel;
    if (room < 0) {
      bad_input("a pooling window of ", kernel, " does not fit into ", x.shape()[axis],
                " pixels with ", padding, " of padding (activations ", x.shape(),
                "): use larger images or an encoder that reduces them less");
    }
    shape.set(axis, room / stride + 1);
  }
  return record_one(max_pool_operation, {x}, {x.dtype(), shape}, Pooling{kernel, stride, padding});
}

Tensor average_pool(const Tensor& x) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 3, "average_pool of ", name_of(x.dtype()),
               " ", x.shape());
  return record_one(average_pool_operation, {x}, {x.dtype(), Shape{x.shape()[0], x.shape()[-1]}});
}

Tensor upsample(const Tensor& x, int64_t height, int64_t width) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() == 4 && height >= x.shape()[1] &&
                   width >= x.shape()[2],
               "upsample of ", name_of(x.dtype()), " ", x.shape(), " to ", height, " x ", width);
  return record_one(upsample_operation, {x},
                    {x.dtype(), Shape{x.shape()[0], height, width, x.shape()[3]}});
}

std::span<const Operation* const> pooling_operations() {
  static constexpr std::array all = {
      &max_pool_operation,     &max_pool_gradient_operation,
      &average_pool_operation, &average_pool_gradient_operation,
      &upsample_operation,     &upsample_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
