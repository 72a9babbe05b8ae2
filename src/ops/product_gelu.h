// Matrix products with a GELU behind them. Deterministic; what does not fit is a broken rule of the
// caller.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// gelu(linear(x, w, bias)) (ops/matrix_product.h, ops/elementwise.h), in one operation where the
// device has it; so is the gradient's way back through a product that follows. Keeps x, w and what
// goes into the GELU.
Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias);

extern const Operation product_gelu_operation;
extern const Operation product_gelu_gradient_operation;

}  // namespace lacuna
