// Declarations of the CUDA device's kernels.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cuda {

#include "kernels/declarations.inc"

}  // namespace lacuna::cuda
