// BYOL: a student predicts the projections of a momentum encoder (Grill et al. 2020).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> byol_keys();
std::unique_ptr<Objective> make_byol(const ObjectiveParts& parts);

}  // namespace lacuna
