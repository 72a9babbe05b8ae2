// Layer normalisation (Ba, Kiros, Hinton 2016, "Layer normalization").
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// x F [.., D], gamma and beta P [D] -> y F [.., D] = gamma (x - mean) / sqrt(variance + epsilon) +
// beta, mean and variance (of D, not D - 1) of each row. Keeps x and each row's mean and 1 /
// deviation. Row sums and the parameters' gradients are summed in double. Deterministic. What does
// not fit is a broken precondition.
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon);

extern const Operation layer_norm_operation;
extern const Operation layer_norm_gradient_operation;

}  // namespace lacuna
