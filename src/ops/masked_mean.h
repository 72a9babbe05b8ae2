// The mean over the tokens of a sample that count.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// x F [B, L, D], mask F [B, L] (1: the token counts) -> [B, D]: of each sample sum mask x / sum
// mask, by its own count; 0 for a sample of which no token counts. Sums in f32 or better. No
// gradient flows to the mask. Keeps the mask. Deterministic. What does not fit is a broken rule of
// the caller.
Tensor masked_mean(const Tensor& x, const Tensor& mask);

}  // namespace lacuna
