// Self-attention of several heads (Vaswani et al. 2017, eq. 1) on packed queries, keys and values,
// without the L x L weights in memory (Dao et al. 2022: what backward needs of them is made again
// from the rows' log-sums). F: float types; P: the parameter type. Per sample and head q, k and v
// are [L, D].
//
//   attention                                                            (Attention)
//     in   qkv F [B, L, 3 H D]: of each token the queries of all heads, then the keys, the values
//     out  y F [B, L, H D] = softmax(scale q k^T) v,
//          lse P [B, H, L] = log sum_j exp(scale q_i . k_j)
//     4 B H L^2 D FLOPs
//   attention_gradient                                                   (Attention)
//     in   dy F [B, L, H D], qkv, y, lse
//     out  dqkv F [B, L, 3 H D]:  with p = exp(scale q k^T - lse),  dv = p^T dy,
//          ds = p (dy v^T - rowsum(dy y)),  dq = scale ds k,  dk = scale ds^T q
//     10 B H L^2 D FLOPs
//
// Queries, keys and values of their own, of M queries and L keys. Query i sees the first n_i keys:
// all L, or, where `causal`, those up to its own place, which is i + L - M (the last query sees
// all); and no more than lengths_b, where they are given. Where n_i is 0, y is 0 and lse -inf.
//
//   cross_attention                                                      (CrossAttention)
//     in   q F [B, M, H D], k, v F [B, L, H D], lengths i64 [B] (if `lengths`)
//     out  y F [B, M, H D] = softmax(scale q k^T) v, lse P [B, H, M]; sums over the keys seen
//     4 B H M L D FLOPs
//   cross_attention_gradient                                             (CrossAttention)
//     in   dy F [B, M, H D], q, k, v, y, lse, lengths (if `lengths`)
//     out  dq F [B, M, H D], dk, dv F [B, L, H D]
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct Attention {
  static constexpr uint64_t id = hash_name("Attention");
  double scale;
  int64_t heads;
};

struct CrossAttention {
  static constexpr uint64_t id = hash_name("CrossAttention");
  double scale;
  int64_t heads;
  int64_t causal, lengths;  // 0 or 1
};

// How many of `keys` keys a query sees; `length`: of its sample.
constexpr int64_t keys_seen(int64_t query, int64_t queries, int64_t keys, bool causal,
                            int64_t length) {
  int64_t seen = length < keys ? length : keys;
  const int64_t before = query + keys - queries + 1;
  if (causal && before < seen) seen = before;
  return seen < 0 ? 0 : seen;
}

namespace operands {

struct CrossAttention {
  enum : size_t { q, k, v, lengths };
  enum : size_t { y, lse };
};

struct CrossAttentionGradient {
  enum : size_t { dy, q, k, v, y, lse, lengths };
  enum : size_t { dq, dk, dv };
};

struct AttentionGradient {
  enum : size_t { dy, qkv, y, lse };
  enum : size_t { dqkv };
};

}  // namespace operands

}  // namespace lacuna
