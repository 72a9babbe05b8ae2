// Matrix product, bias and the bias's gradient. F: float types; P: the parameter type (f32; f64 on
// the reference device). The output's dtype may differ from the inputs': weight gradients are P.
//
//   matrix_product                                                       (MatrixProduct)
//     in   a F [M, K] (or [K, M]), b F or P [K, N] (or [N, K]), bias F or P [N] (if `bias`)
//     out  y F or P [M, N] = op(a) op(b) + bias
//     2 M N K FLOPs, accumulated in f32 or better
//   product_added    in   as matrix_product, then r F [M, N];
//                    out  y F [M, N] = op(a) op(b) + bias + r
//   column_sum
//     in   x F [.., D]
//     out  s F or P [D], summed in double
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct MatrixProduct {
  static constexpr uint64_t id = hash_name("MatrixProduct");
  int64_t m, n, k;
  int64_t transpose_a, transpose_b;  // 0 or 1
  int64_t bias;                      // 0 or 1
};

namespace operands {

struct MatrixProduct {
  enum : size_t { a, b, bias };
  enum : size_t { y };
};

}  // namespace operands

}  // namespace lacuna
