// Versions of the libraries that this process runs with.
#pragma once

#include <string>

namespace lacuna {

// "Open MPI v4.1.4"; may be asked before MPI starts.
std::string mpi_version();
// "2.6.3"
std::string onednn_version();

}  // namespace lacuna
