// Matrix products. N rows, K inputs, O outputs. Deterministic; accumulated in f32 or better; both
// factors are kept for backward. A shape or dtype that does not fit is a broken precondition.
#pragma once

#include <vector>

#include "graph/tensor.h"

namespace lacuna {

// y [N, O] = x w^T + bias, of x's dtype. x F [N, K]; w [O, K] and bias [O] of x's dtype or
// parameters (P: f32 beside bf16 activations). Gradients: dx = dy w of x's dtype; dw = dy^T x and
// dbias = the column sums of dy (in double), of the parameters' dtype.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {});

// residual [N, O] + linear(x, w, bias), in one operation where the device has it.
Tensor linear_added(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& residual);

// y [M, N] = op(a) op(b) of one dtype; op transposes where asked. a [M, K] (or [K, M]),
// b [K, N] (or [N, K]).
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

// x F [.., D] -> the sums over all axes but the last, [D] of `dtype` (x's or P): a bias's gradient.
// Summed in double.
Tensor column_sum(const Tensor& x, DType dtype);

// For operations that are a product with something behind it: of a node whose inputs begin with a
// product's and whose attributes are MatrixProduct (kernels/matrix_product.h), the product alone,
// and the gradients by the product's inputs where dy is that by its result.
Tensor product_of(const NodePointer& node);
std::vector<Tensor> product_gradients(const NodePointer& node, const Tensor& dy);

extern const Operation matrix_product_operation;
extern const Operation product_added_operation;
extern const Operation column_sum_operation;

}  // namespace lacuna
