// Element-wise operations. All operands of a call have one shape [..] and one dtype, any float type
// unless it says otherwise. Deterministic; nothing is kept for backward unless it says so. A shape
// or dtype that does not fit is a broken precondition.
#pragma once

#include <vector>

#include "graph/tensor.h"

namespace lacuna {

// a + b
Tensor add(const Tensor& a, const Tensor& b);
// a - b
Tensor subtract(const Tensor& a, const Tensor& b);
// factor x
Tensor scale(const Tensor& x, double factor);
// a b; keeps both.
Tensor multiply(const Tensor& a, const Tensor& b);
// x [.., C], mask [.., 1] -> x (1 - mask): the mask's ones are hidden. No gradient for the mask.
Tensor hide(const Tensor& x, const Tensor& mask);
// max(x, 0), whose derivative at 0 is 0; keeps the result.
Tensor relu(const Tensor& x);
// x Phi(x), Phi the distribution function of N(0, 1) (Hendrycks, Gimpel 2016, "Gaussian error
// linear units", exact form); keeps x.
Tensor gelu(const Tensor& x);
// x F [B, ..], p P [..] -> x + p, for each of the B samples (positions of tokens). The gradient of
// p is the sum over the samples, in double.
Tensor add_to_each(const Tensor& x, const Tensor& p);
// x F [N, ..], factors P [N] -> each row of x times its factor. No gradient for the factors.
Tensor scale_rows(const Tensor& x, const Tensor& factors);
// x as another type, rounded to nearest even; x itself if it has the type. Labels and images (u8)
// may be cast too; the gradient flows between float types only.
Tensor cast(const Tensor& x, DType dtype);

// The sum of the squares of all elements of all tensors: f64 [], summed in double. No gradient.
Tensor squared_norm(const std::vector<Tensor>& x);
// Rows of logits [N, K] whose first largest entry is at the label: f64 []. labels i64 [N]; negative
// ones never count. No gradient.
Tensor count_correct(const Tensor& logits, const Tensor& labels);

extern const Operation scale_operation;
extern const Operation multiply_operation;
extern const Operation hide_operation;
extern const Operation relu_operation;
extern const Operation relu_gradient_operation;
extern const Operation gelu_operation;
extern const Operation gelu_gradient_operation;
extern const Operation add_to_each_operation;
extern const Operation scale_rows_operation;
extern const Operation cast_operation;
extern const Operation squared_norm_operation;
extern const Operation count_correct_operation;

}  // namespace lacuna
