// Scaled dot-product attention (Vaswani et al. 2017, "Attention is all you need", eq. 1).
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// qkv F [B, L, 3 H D], of each token the queries of all H heads, then the keys, then the values ->
// y F [B, L, H D]: of each head softmax(q k^T / sqrt(D)) v. The L x L weights are never in memory;
// kept are qkv, y and the log-sums of the rows, P [B, H, L]. Sums in f32 or better. Deterministic.
// What does not fit is a broken precondition.
Tensor self_attention(const Tensor& qkv, int64_t heads);

struct AttentionOptions {
  int64_t heads = 1;
  // Query i stands at place i + L - M among the keys, so that the last sees all, and sees no key
  // behind its place.
  bool causal = false;
  Tensor key_lengths = {};  // i64 [B]: of each sample only so many of the keys count; or undefined
};

// q F [B, M, H D], k and v F [B, L, H D] -> y F [B, M, H D]: of each head softmax(q k^T / sqrt(D))
// v over the keys that count; 0 for a query that sees none. The weights are never in memory; kept
// are q, k, v, y and the log-sums of the rows, P [B, H, M]. Lengths are not checked here, and what
// no query sees must be finite all the same. Sums in f32 or better. Deterministic. What does not
// fit is a broken precondition.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionOptions& options);

extern const Operation attention_operation;
extern const Operation attention_gradient_operation;

}  // namespace lacuna
