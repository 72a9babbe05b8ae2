// A communicator that finds ranks which issue different collectives, where MPI would hang, crash or
// mix up data.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace lacuna {

// As `inner`, which must outlive it, but before each collective the ranks compare what they are
// about to issue (operation, sizes, element type, root). Where they differ, every rank throws
// Error(failed) with both. For tests and for debugging: each call then waits for all ranks.
std::unique_ptr<Communicator> checked_communicator(Communicator& inner);

}  // namespace lacuna
