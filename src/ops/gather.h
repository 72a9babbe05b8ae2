// Tokens at places that data give: which patches an encoder sees, where its outputs go back, rows
// of a table. Places i32 or i64; their values are not checked here, but for a negative one, which
// stands for no token. No gradient flows to places. Deterministic: tokens that share a place are
// added in their order. A shape or dtype that does not fit is a broken precondition.
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// x F [B, L, D], places [B, K], below L -> [B, K, D]: tokens of each sample, or zeros. The gradient
// is scatter_tokens. Keeps the places.
Tensor gather_tokens(const Tensor& x, const Tensor& places);
// x F [B, K, D], places [B, K], below `length` -> [B, length, D]: the sum of the tokens of each
// place, in f32 or better. The gradient is gather_tokens. Keeps the places.
Tensor scatter_tokens(const Tensor& x, const Tensor& places, int64_t length);
// table P or F [V, D], ids [..], below V -> [.., D]: the row of each id (an embedding lookup),
// zeros for a negative one. The gradient of the table is dense; sparse_embedding()
// (ops/sparse_rows.h) has another.
Tensor embedding(const Tensor& table, const Tensor& ids);

extern const Operation scatter_tokens_operation;

}  // namespace lacuna
