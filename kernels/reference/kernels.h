// Declarations of the reference device's kernels.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::reference {

#include "kernels/declarations.inc"

}  // namespace lacuna::reference
