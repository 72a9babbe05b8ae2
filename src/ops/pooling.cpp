#include "ops/pooling.h"

#include <array>

#include "kernels/pooling.h"
#include "ops/shape.h"

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

namespace {

// Windows along height and width of [B, H, W, C].
Tensor pool_images(const Tensor& x, const Pooling& sizes) {
  Shape shape = x.shape();
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t size = x.shape()[axis + 1];
    shape.set(axis + 1,
              (size + 2 * sizes.padding[axis] - sizes.kernel[axis]) / sizes.stride[axis] + 1);
  }
  return record_one(max_pool_operation, {x}, {x.dtype(), shape}, sizes);
}

// The mean of every `window` neighbours along an axis, which is a multiple of it.
Tensor average_neighbours(const Tensor& x, int axis, int64_t window) {
  if (window == 1) return x;
  Shape shape = x.shape();
  shape.set(axis, shape[axis] / window);
  const int64_t windows = shape.slice(0, axis + 1).count();
  const int64_t behind = shape.from(axis + 1).count();
  return reshape(average_pool(reshape(x, Shape{windows, window, behind})), shape);
}

}  // namespace

Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  const int axes = x.shape().rank() - 2;
  LACUNA_CHECK(is_float(x.dtype()) && axes >= 1 && axes <= 3 && kernel >= 1 && stride >= 1 &&
                   padding >= 0 && 2 * padding <= kernel,
               "max_pool of ", name_of(x.dtype()), " ", x.shape(), ", kernel ", kernel, ", stride ",
               stride, ", padding ", padding);
  for (int axis = 1; axis <= axes; ++axis) {
    if (x.shape()[axis] + 2 * padding >= kernel) continue;
    bad_input("a pooling window of ", kernel, " does not fit into ", x.shape()[axis],
              " pixels with ", padding, " of padding (activations ", x.shape(),
              "): use larger images or an encoder that reduces them less");
  }
  const Pooling both = {{kernel, kernel}, {stride, stride}, {padding, padding}};
  if (axes == 2) return pool_images(x, both);
  const int64_t channels = x.shape()[-1];
  if (axes == 1) {  // of one row
    const Tensor row = reshape(x, Shape{x.shape()[0], 1, x.shape()[1], channels});
    const Tensor y = pool_images(row, {{1, kernel}, {1, stride}, {0, padding}});
    return reshape(y, Shape{y.shape()[0], y.shape()[2], channels});
  }
  // Each plane, then along the depth: the first largest of the planes' first largest is the first.
  const Shape& s = x.shape();
  const Tensor planes = pool_images(reshape(x, Shape{s[0] * s[1], s[2], s[3], channels}), both);
  const int64_t height = planes.shape()[1];
  const int64_t width = planes.shape()[2];
  const Tensor y = pool_images(reshape(planes, Shape{s[0], s[1], height * width, channels}),
                               {{kernel, 1}, {stride, 1}, {padding, 0}});
  return reshape(y, Shape{s[0], y.shape()[1], height, width, channels});
}

Tensor average_pool(const Tensor& x) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() >= 3, "average_pool of ", name_of(x.dtype()),
               " ", x.shape());
  return record_one(average_pool_operation, {x}, {x.dtype(), Shape{x.shape()[0], x.shape()[-1]}});
}

Tensor average_pool(const Tensor& x, int64_t window) {
  const int axes = x.shape().rank() - 2;
  LACUNA_CHECK(is_float(x.dtype()) && axes >= 1 && window >= 1, "average_pool of ",
               name_of(x.dtype()), " ", x.shape(), " in windows of ", window);
  Tensor y = x;
  for (int axis = axes; axis >= 1; --axis) {
    if (x.shape()[axis] % window != 0) {
      bad_input("pooling windows of ", window, " do not fill ", x.shape()[axis],
                " pixels (activations ", x.shape(), "): use sizes that are multiples of them");
    }
    y = average_neighbours(y, axis, window);
  }
  return y;
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
