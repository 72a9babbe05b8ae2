// Scaled dot-product self-attention (Vaswani et al. 2017, "Attention is all you need", eq. 1).
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// qkv F [B, L, 3 H D], of each token the queries of all H heads, then the keys, then the values ->
// y F [B, L, H D]: of each head softmax(q k^T / sqrt(D)) v. The L x L weights are never in memory;
// kept are qkv, y and the log-sums of the rows, P [B, H, L]. Sums in f32 or better. Deterministic.
// What does not fit is a broken rule of the caller.
Tensor self_attention(const Tensor& qkv, int64_t heads);

extern const Operation attention_operation;
extern const Operation attention_gradient_operation;

}  // namespace lacuna
