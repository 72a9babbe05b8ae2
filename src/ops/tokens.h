// Sequences of tokens [B, L, D]. Nothing is computed, nothing is kept. A shape or dtype that does
// not fit is a broken precondition.
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// x F [B, L, D], token P [D] -> [B, L + 1, D]: a token that all samples have (a class token, Devlin
// et al. 2019), before their own. Its gradient is the sum over the batch, in double.
Tensor prepend_token(const Tensor& x, const Tensor& token);
// Tokens begin, …, begin + count - 1 of each sample: x F [B, L, D] -> [B, count, D]. The gradient
// is place_tokens.
Tensor take_tokens(const Tensor& x, int64_t begin, int64_t count);
// y F [B, total, D]: x [B, n, D] from token `begin` on, zeros elsewhere.
Tensor place_tokens(const Tensor& x, int64_t begin, int64_t total);

extern const Operation prepend_token_operation;
extern const Operation take_tokens_operation;
extern const Operation place_tokens_operation;

}  // namespace lacuna
