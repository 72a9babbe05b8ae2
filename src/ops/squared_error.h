// Sum of squared differences.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// loss P [] = factor sum weights (a - b)^2; a, b F [.., C] (bf16 is cast to f32 first); weights
// [.., 1] of the same dtype, or undefined for ones: one weight per position, such as a mask. Sums
// in double. Gradients flow to a and b, not to weights. Keeps the operands. Deterministic. Shapes
// and dtypes that do not fit are a broken precondition.
Tensor squared_error(const Tensor& a, const Tensor& b, double factor, const Tensor& weights = {});

extern const Operation squared_error_operation;
extern const Operation squared_error_gradient_operation;

}  // namespace lacuna
