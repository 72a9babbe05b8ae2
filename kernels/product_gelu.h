// Matrix products with a GELU behind them, in one kernel. F: float types; P: the parameter type.
// Both take MatrixProduct (kernels/matrix_product.h).
//
//   product_gelu           in   as matrix_product
//                          out  y, z F [M, N]: z = op(a) op(b) + bias, y = gelu(z)
//   product_gelu_gradient  in   a F [M, K], b F or P [K, N] (or transposed), z F [M, N]
//                          out  d F [M, N] = gelu'(z) op(a) op(b)
#pragma once

#include <cstddef>

#include "kernels/matrix_product.h"

namespace lacuna {

namespace operands {

struct ProductGeluGradient {
  enum : size_t { a, b, z };
  enum : size_t { d };
};

}  // namespace operands

}  // namespace lacuna
