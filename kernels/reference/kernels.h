// Declarations of the reference device's kernels; what each computes stands in kernels/<family>.h.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::reference {

void accumulate(const Call& call);

}  // namespace lacuna::reference
