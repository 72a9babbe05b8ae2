// A stage's configuration, the same on every rank.
#pragma once

#include <string>
#include <vector>

#include "config/configuration.h"

namespace lacuna {

class Communicator;

// Collective. A text file as rank 0 reads it; an error is thrown as an AgreedError on every rank.
std::string text_on_all_ranks(const std::string& file, Communicator& communicator);

// Collective. Rank 0 reads the file, so that all ranks have one text even while somebody edits it;
// an error is thrown as an AgreedError on every rank.
Configuration load_configuration(const std::string& file, const Schema& schema,
                                 const std::vector<std::string>& overrides,
                                 Communicator& communicator);

}  // namespace lacuna
