// Attention over keys and values that were kept from earlier passes, for generation. F: float
// types; P: the parameter type.
//
//   merge_attention                                                      (MergeAttention)
//     in   y0 F [B, M, H D], lse0 P [B, H, M], y1 F [B, M, H D], lse1 P [B, H, M]: results of
//          cross_attention (kernels/attention.h) of the same queries over two sets of keys
//     out  y F [B, M, H D] = (exp(lse0) y0 + exp(lse1) y1) / (exp(lse0) + exp(lse1)), which is the
//          attention over both sets; 0 where either sees no key
//   write_tokens (an update)
//     in   x F [B, M, D], places i64 [B]
//     targets  cache F [B, T, D]: token m of sample b is written at places_b + m; a token whose
//              place is not in [0, T) is left off
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct MergeAttention {
  static constexpr uint64_t id = hash_name("MergeAttention");
  int64_t heads;
};

namespace operands {

struct MergeAttention {
  enum : size_t { y0, lse0, y1, lse1 };
  enum : size_t { y };
};

struct WriteTokens {
  enum : size_t { x, places };
  enum : size_t { cache };
};

}  // namespace operands

}  // namespace lacuna
