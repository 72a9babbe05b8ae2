// Rotation prediction (Gidaris, Singh, Komodakis 2018).
#pragma once

#include "objectives/objective.h"

namespace lacuna {

std::vector<Key> rotation_keys();
std::unique_ptr<Objective> make_rotation(const ObjectiveParts& parts);

}  // namespace lacuna
