// The one list of operations. Tests loop over it; an operation that is missing here is untested.
#pragma once

#include <span>

#include "graph/tensor.h"

namespace lacuna {

std::span<const Operation* const> operations();

}  // namespace lacuna
