// Declarations of the CPU device's kernels.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cpu {

#include "kernels/declarations.inc"

}  // namespace lacuna::cpu
