// The reference device's one table of kernels.
#include "kernels/reference/table.h"

#include <array>

#include "kernels/reference/kernels.h"

namespace lacuna {

namespace {

constexpr std::array table = {
    KernelEntry{"accumulate", DType::f64, reference::accumulate},
};

}  // namespace

std::span<const KernelEntry> reference_kernels() { return table; }

}  // namespace lacuna
