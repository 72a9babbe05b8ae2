// Rows of unit length.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// x F [N, D] -> y F [N, D] = x / max(|x|, epsilon), |.| the Euclidean norm of a row. Gradient:
// (dy - y (y . dy)) / |x|, or dy / epsilon for a row shorter than epsilon. Keeps y and the norms.
// Deterministic. Another rank or dtype is a broken precondition.
Tensor normalize(const Tensor& x, double epsilon = 1e-12);

extern const Operation normalize_rows_operation;
extern const Operation normalize_rows_gradient_operation;

}  // namespace lacuna
