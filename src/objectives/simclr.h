// SimCLR: two views of a sample against all others of the batch (Chen et al. 2020).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> simclr_keys();
std::unique_ptr<Objective> make_simclr(const ObjectiveParts& parts);

}  // namespace lacuna
