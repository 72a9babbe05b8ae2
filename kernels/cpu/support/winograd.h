// Winograd's minimal filtering (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
// Networks"), for 3x3 convolutions of stride 1 in f32: F(2x2, 3x3) needs 2.25, F(4x4, 3x3) 4 times
// fewer multiplications than the definition. Images and weights lie as convolution.h has them.
#pragma once

#include "kernels/cpu/support/context.h"
#include "kernels/cpu/support/winograd_sizes.h"

namespace lacuna::cpu {

// y [B, out…, K] of x [B, in…, C]; bias [K] or nullptr. The bits of a sample depend neither on the
// rows beside it nor on the number of threads. Uses the context's scratch: the transformed weights,
// and some MB for each thread.
void winograd_convolution(CpuContext& context, WinogradTile tile, const WinogradSizes& sizes,
                          const float* x, const WinogradWeights& w, const float* bias, float* y);

// dw [K, C, 3, 3] of x [B, in…, C] and dy [B, out…, K]. Summed in f32, in parts that follow from
// the sizes alone, so that the bits do not depend on the number of threads.
void winograd_weight_gradient(CpuContext& context, WinogradTile tile, const WinogradSizes& sizes,
                              const float* x, const float* dy, float* dw);

}  // namespace lacuna::cpu
