// The one list of operations. Each source in this folder ends with its own, behind a function that
// is named after it (elementwise.cpp: elementwise_operations()); the build joins them. Tests loop
// over the list; an operation that is missing in it is untested.
#pragma once

#include <span>

#include "graph/tensor.h"

namespace lacuna {

std::span<const Operation* const> operations();

}  // namespace lacuna
