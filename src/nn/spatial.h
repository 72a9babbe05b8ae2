// Pooling and upsampling over one spatial axis or two: of [B, L, C] as of [B, H, W, C].
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// Axes between batch and channels.
int spatial_axes(const Tensor& x);

// As max_pool (ops/pooling.h) of windows that are as long along each axis.
Tensor max_pool_axes(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding);

// Nearest neighbour, to the spatial sizes of `like` [.., spatial…, any].
Tensor upsample_axes(const Tensor& x, const Shape& sizes);

}  // namespace lacuna
