// Declarations of the CPU device's kernels; what each computes stands in kernels/<family>.h.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cpu {

void accumulate(const Call& call);

}  // namespace lacuna::cpu
