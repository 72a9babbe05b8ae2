// Inpainting: what a mask hides is predicted from the rest (Pathak et al. 2016).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> inpaint_keys();
std::unique_ptr<Objective> make_inpaint(const ObjectiveParts& parts);

}  // namespace lacuna
