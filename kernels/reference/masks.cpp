#include "kernels/masks.h"

#include <array>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void keep(const Call& call) {
  const double* x = call.in[0].as<double>();
  const double* mask = call.in[1].as<double>();
  const int64_t channels = call.in[0].shape[-1];
  for (int64_t i = 0; i < call.out[0].count(); ++i)
    call.out[0].as<double>()[i] = mask[i / channels] != 0 ? x[i] : 0;
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"keep", {f64}, keep},
};

}  // namespace

std::span<const KernelEntry> masks_kernels() { return table; }

}  // namespace lacuna::reference
