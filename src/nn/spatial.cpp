#include "nn/spatial.h"

#include "ops/pooling.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

// [B, L, C] as an image of one row.
Tensor as_rows(const Tensor& x) {
  const Shape& s = x.shape();
  return s.rank() == 3 ? reshape(x, {s[0], 1, s[1], s[2]}) : x;
}

// Back to as many axes as `like` has.
Tensor with_axes_of(const Tensor& like, const Tensor& y) {
  const Shape& s = y.shape();
  return like.shape().rank() == 3 ? reshape(y, {s[0], s[2], s[3]}) : y;
}

}  // namespace

int spatial_axes(const Tensor& x) { return x.shape().rank() - 2; }

Tensor max_pool_axes(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  LACUNA_CHECK(spatial_axes(x) == 1 || spatial_axes(x) == 2, "max_pool_axes of ", x.shape());
  if (spatial_axes(x) == 2) return max_pool(x, kernel, stride, padding);
  // One row of windows: what lies above and below it is outside, whatever the kernel.
  LACUNA_CHECK(kernel == 2 * padding + 1, "max_pool_axes: kernel ", kernel, ", padding ", padding);
  return with_axes_of(x, max_pool(as_rows(x), kernel, stride, padding));
}

Tensor upsample_axes(const Tensor& x, const Shape& sizes) {
  LACUNA_CHECK(sizes.rank() == spatial_axes(x), "upsample_axes of ", x.shape(), " to ", sizes);
  if (sizes.rank() == 2) return upsample(x, sizes[0], sizes[1]);
  return with_axes_of(x, upsample(as_rows(x), 1, sizes[0]));
}

}  // namespace lacuna
