// The kernels of the reference device: plain double precision, one thread, written for clarity.
// Finite differences and every comparison stand on them.
#pragma once

#include "kernels/kernel.h"

namespace lacuna {

std::span<const KernelEntry> reference_kernels();

}  // namespace lacuna
