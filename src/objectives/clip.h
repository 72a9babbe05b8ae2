// CLIP: contrast of the two parts of a sample (Radford et al. 2021).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> clip_keys();
std::unique_ptr<Objective> make_clip(const ObjectiveParts& parts);

}  // namespace lacuna
