// The matrix product that several kernels consist of.
#pragma once

#include "kernels/kernel.h"
#include "kernels/matrix_product.h"

namespace lacuna::reference {

// What matrix_product computes (kernels/matrix_product.h), into the first output.
inline void multiply_matrices(const Call& call) {
  using Operand = operands::MatrixProduct;
  const auto p = call.attributes.as<MatrixProduct>();
  const double* a = call.in[Operand::a].as<double>();
  const double* b = call.in[Operand::b].as<double>();
  const double* bias = p.bias ? call.in[Operand::bias].as<double>() : nullptr;
  double* y = call.out[Operand::y].as<double>();
  const auto at_a = [&](int64_t m, int64_t k) {
    return p.transpose_a ? a[k * p.m + m] : a[m * p.k + k];
  };
  const auto at_b = [&](int64_t k, int64_t n) {
    return p.transpose_b ? b[n * p.k + k] : b[k * p.n + n];
  };
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t n = 0; n < p.n; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < p.k; ++k) sum += at_a(m, k) * at_b(k, n);
      y[m * p.n + n] = sum + (bias ? bias[n] : 0);
    }
  }
}

}  // namespace lacuna::reference
