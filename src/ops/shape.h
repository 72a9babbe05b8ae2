// Operations that move elements but compute nothing. Views share the memory of their operand. Any
// dtype; gradients flow through float types. A shape that does not fit is a broken rule of the
// caller.
#pragma once

#include <vector>

#include "graph/tensor.h"

namespace lacuna {

// View: the same elements in the same order as `shape`, which must have as many.
Tensor reshape(const Tensor& x, const Shape& shape);
// View: [B, ..] -> [B, rest].
Tensor flatten(const Tensor& x);
// View: x itself; no gradient flows back (a teacher's output, BYOL's target).
Tensor stop_gradient(const Tensor& x);
// View: rows begin, …, end - 1 of x [N, ..]; 0 <= begin <= end <= N. The gradient is place_rows.
Tensor rows(const Tensor& x, int64_t begin, int64_t end);
// y [N, ..]: x [n, ..] from row `begin` on, zeros elsewhere; begin + n <= N.
Tensor place_rows(const Tensor& x, int64_t begin, int64_t total);
// x_0 [N_0, ..], x_1 [N_1, ..], … -> [N_0 + N_1 + …, ..]; one tensor is returned as it is.
Tensor concatenate(const std::vector<Tensor>& x);

extern const Operation reshape_operation;
extern const Operation stop_gradient_operation;
extern const Operation rows_operation;
extern const Operation place_rows_operation;
extern const Operation concatenate_operation;

}  // namespace lacuna
