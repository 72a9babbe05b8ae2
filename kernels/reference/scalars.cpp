#include "kernels/scalars.h"

#include <array>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void scale_by(const Call& call) {
  const double* x = call.in[0].as<double>();
  const double factor = *call.in[1].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) call.out[0].as<double>()[i] = factor * x[i];
}

void dot(const Call& call) {
  const double* a = call.in[0].as<double>();
  const double* b = call.in[1].as<double>();
  double sum = 0;
  for (int64_t i = 0; i < call.in[0].count(); ++i) sum += a[i] * b[i];
  *call.out[0].as<double>() = sum;
}

void inverse_count(const Call& call) {
  const double* n = call.in[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i)
    call.out[0].as<double>()[i] = n[i] == 0 ? 0 : 1 / n[i];
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"scale_by", {f64}, scale_by},
    KernelEntry{"dot", {f64}, dot},
    KernelEntry{"inverse_count", {f64}, inverse_count},
};

}  // namespace

std::span<const KernelEntry> scalars_kernels() { return table; }

}  // namespace lacuna::reference
