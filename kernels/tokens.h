// Sequences of tokens [B, L, D]. F: float types; P: the parameter type.
//
//   prepend_token  in   x F [B, L, D], token P [D]
//                  out  y F [B, L + 1, D]: the token, then x
//   take_tokens    in   x F [B, L, D]                                      (Tokens)
//                  out  y F [B, n, D]: tokens begin, …, begin + n - 1 of each sample
//   place_tokens   in   x F [B, n, D]                                      (Tokens)
//                  out  y F [B, L, D]: x from token `begin` on, else zeros
#pragma once

#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct Tokens {
  static constexpr uint64_t id = hash_name("Tokens");
  int64_t begin;
};

}  // namespace lacuna
