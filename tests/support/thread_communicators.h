// Communicators for unit tests of what several ranks do: the ranks are threads of one process.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace lacuna {

// n communicators that meet each other; one thread per rank calls them. Sums have the same bits as
// those over MPI. A rank that waits longer than deadline_seconds for another one throws
// Error(lost_rank); ranks that issue different collectives break a rule (LACUNA_CHECK).
std::vector<std::unique_ptr<Communicator>> thread_communicators(int n,
                                                                double deadline_seconds = 60);

// Runs body(communicator) on n threads, one per rank, and throws the exception of the lowest rank
// that threw one.
void on_ranks(int n, const std::function<void(Communicator&)>& body);

}  // namespace lacuna
