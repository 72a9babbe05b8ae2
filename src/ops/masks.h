// Masks of positions: 1 where a position counts, 0 where it does not, such as padding of samples of
// unequal length. A mask has the dtype of what it masks. Deterministic. What does not fit is a
// broken rule of the caller.
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// x F [.., C], mask F [..] -> [.., C]: x where the mask is not 0, else 0, even where x is infinite
// or NaN. The gradient is kept likewise; none flows to the mask. Keeps the mask.
Tensor keep(const Tensor& x, const Tensor& mask);

// mask F [B, L] -> [B, ceil(L / stride)]: every stride-th position, from the first on. It is the
// mask of what a convolution of this stride, padded by half its kernel, makes of [B, L, C]:
// position i of its output lies at position i stride of its input.
Tensor strided_mask(const Tensor& mask, int64_t stride);

extern const Operation keep_operation;

}  // namespace lacuna
