// Tests over real ranks: lacuna-tests-ranks runs every TEST_CASE on each rank of an mpirun, and
// ctest runs it on 1, 2, 3 and 4. All ranks run the same cases in the same order; a case that fails
// on one rank ends all of them.
#pragma once

#include "comm/communicator.h"
#include "comm/mpi.h"

namespace lacuna {

MpiSession& session();
Communicator& world();

}  // namespace lacuna
