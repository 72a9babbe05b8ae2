// A communicator as a slow network would make it, to measure how much communication a step hides.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace lacuna {

// As `inner`, which must outlive it, but the sums (all_reduce_sum, reduce_scatter_sum) of at least
// `from_bytes` go over a link that takes `seconds` longer for each, one after the other. The caller
// is not blocked by it: only Request::wait() returns later.
std::unique_ptr<Communicator> delayed_communicator(Communicator& inner, double seconds,
                                                   size_t from_bytes = 0);

}  // namespace lacuna
