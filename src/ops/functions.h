// Functions of one number, element by element, and a quotient: x F [..] -> F [..], of any float
// type (f64 on every device). Deterministic. A dtype or shape that does not fit is a broken rule of
// the caller; what a function has no number for becomes NaN or an infinity, as IEEE 754 has it.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// e^x; keeps the result.
Tensor exp(const Tensor& x);
// The natural logarithm; keeps x.
Tensor log(const Tensor& x);
// The square root; keeps the result. Its derivative at 0 is infinite.
Tensor square_root(const Tensor& x);
// Keeps the result.
Tensor tanh(const Tensor& x);
// s(x) = 1 / (1 + e^-x), the logistic function; keeps the result.
Tensor sigmoid(const Tensor& x);
// x s(x) (Hendrycks, Gimpel 2016; Ramachandran et al. 2017, "Swish"); keeps x.
Tensor silu(const Tensor& x);
// a / b, of one shape and dtype; keeps b and the result.
Tensor divide(const Tensor& a, const Tensor& b);

}  // namespace lacuna
