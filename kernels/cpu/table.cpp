// The CPU device's one table of kernels.
#include "kernels/cpu/table.h"

#include <array>

#include "kernels/cpu/kernels.h"

namespace lacuna {

namespace {

constexpr std::array table = {
    KernelEntry{"accumulate", DType::f32, cpu::accumulate},
};

}  // namespace

std::span<const KernelEntry> cpu_kernels() { return table; }

}  // namespace lacuna
