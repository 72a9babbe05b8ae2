// Keys that all tasks on fixed representations have.
#pragma once

#include <vector>

#include "config/configuration.h"

namespace lacuna {

// task.features and task.weights, and behind them the task's own.
std::vector<Key> probe_keys(std::vector<Key> own);

}  // namespace lacuna
