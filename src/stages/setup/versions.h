// Versions of the libraries that this process runs with.
#pragma once

#include <string>

namespace lacuna {

// "2.6.3"
std::string onednn_version();

}  // namespace lacuna
