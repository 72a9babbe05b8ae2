// Products with a scalar that is a tensor: weights of losses and temperatures that follow a
// schedule are values of a step (ForwardContext::value, f64 []), learned ones parameters (P []);
// neither is an attribute, so that the plan stays the same. F: any float type. Deterministic. A
// dtype or shape that does not fit is a broken precondition.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// x F [..], factor f64 or P [] -> y F [..] = factor x. Keeps both. Gradients flow to x and to the
// factor (sum dy x, in double).
Tensor scale_by(const Tensor& x, const Tensor& factor);
// a, b F [..] of one dtype and shape -> sum a b, [] of `dtype` (f64 or P), summed in double. Keeps
// both.
Tensor dot(const Tensor& a, const Tensor& b, DType dtype);
// x itself, without a copy; its gradient is that by the result times -strength, f64 or P [] (Ganin,
// Lempitsky 2015, "Unsupervised domain adaptation by backpropagation", eq. 9). None flows to
// the strength.
Tensor reverse_gradient(const Tensor& x, const Tensor& strength);

// n f64 [..] -> 1 / n, or 0 where n is 0: what makes a mean of a sum over n elements (nn/loss.h).
// No gradient.
Tensor inverse_count(const Tensor& n);

}  // namespace lacuna
