#include "kernels/matrix_product.h"

#include <algorithm>

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

void matrix_product(const Call& call) {
  const auto p = call.attributes.as<MatrixProduct>();
  const double* a = call.in[0].as<double>();
  const double* b = call.in[1].as<double>();
  const double* bias = p.bias ? call.in[2].as<double>() : nullptr;
  double* y = call.out[0].as<double>();
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

void product_added(const Call& call) {
  matrix_product(call);
  const double* residual = call.in.back().as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] += residual[i];
}

void product_gelu(const Call& call) {
  matrix_product({call.in, call.out.subspan(1), call.attributes, call.context});
  gelu({call.out.subspan(1), call.out.first(1), call.attributes, call.context});
}

void product_gelu_gradient(const Call& call) {
  matrix_product(call);
  const View operands[] = {call.out[0], call.in[2]};
  gelu_gradient({operands, call.out, call.attributes, call.context});
}

void column_sum(const Call& call) {
  const double* x = call.in[0].as<double>();
  double* sums = call.out[0].as<double>();
  const int64_t columns = call.out[0].count();
  std::fill_n(sums, columns, 0.0);
  for (int64_t i = 0; i < call.in[0].count(); ++i) sums[i % columns] += x[i];
}

}  // namespace lacuna::reference
