// The stages there are.
#pragma once

#include <vector>

#include "stages/setup/stage.h"

namespace lacuna {

// All stages, in the order in which a user meets them.
std::vector<Stage> stages();

}  // namespace lacuna
