#include "kernels/matrix_product.h"

#include <algorithm>
#include <array>

#include "kernels/reference/support/product.h"

namespace lacuna::reference {

namespace {

void matrix_product(const Call& call) { multiply_matrices(call); }

void product_added(const Call& call) {
  multiply_matrices(call);
  const double* residual = call.in.back().as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] += residual[i];
}

void column_sum(const Call& call) {
  const double* x = call.in[0].as<double>();
  double* sums = call.out[0].as<double>();
  const int64_t columns = call.out[0].count();
  std::fill_n(sums, columns, 0.0);
  for (int64_t i = 0; i < call.in[0].count(); ++i) sums[i % columns] += x[i];
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"matrix_product", {f64}, matrix_product},
    KernelEntry{"product_added", {f64}, product_added},
    KernelEntry{"column_sum", {f64}, column_sum},
};

}  // namespace

std::span<const KernelEntry> matrix_product_kernels() { return table; }

}  // namespace lacuna::reference
