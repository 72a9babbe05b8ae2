#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> simclr_keys();
std::unique_ptr<Objective> make_simclr(const ObjectiveParts& parts);

}  // namespace lacuna
