// Mutations: what bits, careless editors and broken disks make of a file. Input number `number` of
// a seed is always the same.
#pragma once

#include <cstdint>
#include <vector>

#include "fuzz/target.h"

namespace lacuna::fuzz {

Input mutated(const Target& target, const std::vector<Input>& seeds, uint64_t seed,
              uint64_t number);

}  // namespace lacuna::fuzz
