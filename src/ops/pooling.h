// Pooling and upsampling of channels-last activations of any float type. Deterministic. An image
// smaller than the window is bad_input (a network too deep for the images); other shapes that do
// not fit are a broken precondition.
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// x [B, n.., C] over 1 to 3 spatial axes -> y [B, n'.., C],
// n' = floor((n + 2 padding - kernel) / stride) + 1: the largest of each window of `kernel` along
// every axis; outside x is -inf; 2 padding <= kernel. The gradient goes to the first largest of
// each window. Keeps x and y.
Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding);
// x [B, .., C] -> [B, C]: the mean over all spatial axes (at least one).
Tensor average_pool(const Tensor& x);
// x [B, n.., C] -> [B, n / window.., C]: the means of windows side by side. Sizes that are no
// multiples of the window are bad_input.
Tensor average_pool(const Tensor& x, int64_t window);
// x [B, H, W, C] -> [B, height, width, C], nearest neighbour; no smaller than x.
Tensor upsample(const Tensor& x, int64_t height, int64_t width);

extern const Operation max_pool_operation;
extern const Operation max_pool_gradient_operation;
extern const Operation average_pool_operation;
extern const Operation average_pool_gradient_operation;
extern const Operation upsample_operation;
extern const Operation upsample_gradient_operation;

}  // namespace lacuna
