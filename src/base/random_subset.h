// A random subset of whole numbers, none of them twice.
#pragma once

#include <cstdint>
#include <set>

#include "base/random.h"

namespace lacuna {

// `count` of 0, …, population - 1, each subset with the same probability; count <= population, and
// below 2^32. Robert Floyd's algorithm (Bentley, Floyd 1987, "A sample of brilliance"): `count`
// draws, whatever the population.
std::set<int64_t> random_subset(const Draws& draws, int64_t population, int64_t count);

}  // namespace lacuna
