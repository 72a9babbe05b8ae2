// The CUDA device's one table of kernels.
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace lacuna {

std::span<const KernelEntry> cuda_kernels();

}  // namespace lacuna
