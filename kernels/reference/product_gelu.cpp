#include "kernels/product_gelu.h"

#include <array>

#include "kernels/reference/support/gelu.h"
#include "kernels/reference/support/product.h"

namespace lacuna::reference {

namespace {

void product_gelu(const Call& call) {
  multiply_matrices({call.in, call.out.subspan(1), call.attributes, call.context});
  const double* z = call.out[1].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = gelu_of(z[i]);
}

void product_gelu_gradient(const Call& call) {
  using Operand = operands::ProductGeluGradient;
  multiply_matrices(call);
  const double* z = call.in[Operand::z].as<double>();
  double* d = call.out[Operand::d].as<double>();
  for (int64_t i = 0; i < call.out[Operand::d].count(); ++i) d[i] *= gelu_slope(z[i]);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"product_gelu", {f64}, product_gelu},
    KernelEntry{"product_gelu_gradient", {f64}, product_gelu_gradient},
};

}  // namespace

std::span<const KernelEntry> product_gelu_kernels() { return table; }

}  // namespace lacuna::reference
