// Keys that finetune reads itself.
#pragma once

#include <vector>

#include "config/configuration.h"

namespace lacuna {

// task.*: the name, what all tasks have, each one's own; and where the test data are.
std::vector<Key> finetune_keys();

}  // namespace lacuna
