// Keys of a sample's further parts: for each part that an objective names, the keys with which the
// sample itself is described, under "part.<name>.": where it is in the files, what it means, how it
// is augmented, and which encoder sees it.
#pragma once

#include <string>
#include <vector>

#include "config/configuration.h"

namespace lacuna {

std::vector<Key> part_keys();

// Names of the further parts of the samples that the configuration's objective asks for.
std::vector<std::string> parts_of(const Configuration& configuration);

// The part whose fields an output of this name is of (objectives/objective.h): "" is the first.
std::string part_of_output(const Configuration& configuration, const std::string& output);

// The configuration of one part: its keys in the place of the sample's. "" is the sample itself.
Configuration configuration_of_part(const Configuration& configuration, const std::string& part);

}  // namespace lacuna
