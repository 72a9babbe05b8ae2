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

namespace operands {

struct AttentionGradient {
  enum : size_t { dy, qkv, y, lse };
  enum : size_t { dqkv };
};

}  // namespace operands

}  // namespace lacuna
