// Keys and values that are kept from pass to pass, so that a causal transformer computes each token
// once (generation, streams). Where the kept ones end is a value, so that one plan serves all
// passes. Deterministic; without gradients. What does not fit is a broken precondition.
#pragma once

#include <cstdint>

#include "graph/forward_context.h"
#include "graph/state.h"
#include "graph/tensor.h"

namespace lacuna {

struct CachedAttention {
  Tensor keys, values;  // F [B, T, H D]: what is kept, of which `lengths` tokens count
  Tensor lengths;       // i64 [B], at most T
  int64_t heads = 1;
};

// q, k, v F [B, M, H D] of the tokens behind those kept -> y F [B, M, H D]: each attends to all
// that are kept, to those before it of its own pass, and to itself. It is the attention over what
// is kept and that over the pass, merged by the log-sums of their rows (Milakov, Gimelshein 2018,
// "Online normalizer calculation for softmax"), so that no copy of the cache is made.
Tensor cached_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        const CachedAttention& cache);

// After the pass: token m of x F [B, M, D] is written to cache [b, places_b + m]; places i64 [B].
// Tokens that no place is left for are not written.
Update write_tokens(const Tensor& x, const Tensor& places, State& cache);

extern const Operation write_tokens_operation;

}  // namespace lacuna
