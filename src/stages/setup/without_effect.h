// Keys that a configuration gives and that change nothing in what is done with it: a user may have
// meant something by them.
#pragma once

#include <string>
#include <vector>

#include "config/configuration.h"
#include "data/load/recipe.h"

namespace lacuna {

// One sentence for each reason, of a pretraining whose objective has this recipe.
std::vector<std::string> without_effect(const Configuration& configuration, const Recipe& recipe);

// The same of a fine-tuning.
std::vector<std::string> without_effect(const Configuration& configuration);

}  // namespace lacuna
