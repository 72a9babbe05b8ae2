// The files that a data set is made of.
#pragma once

#include <string>
#include <vector>

namespace lacuna {

// Paths that the patterns (*, ?, []) match, sorted bytewise, each once; a path without match is
// bad_input, which names the key that they stand in.
std::vector<std::string> expand_files(const std::vector<std::string>& patterns,
                                      const std::string& key = "data.files");

}  // namespace lacuna
