// The kernels of the CPU device: oneDNN, and vectorised kernels of our own where it has none.
#pragma once

#include "kernels/kernel.h"

namespace lacuna {

std::span<const KernelEntry> cpu_kernels();

}  // namespace lacuna
