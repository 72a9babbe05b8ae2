// Collectives by NCCL on one device's memory, in the order of its kernels: nothing here waits on
// the host.
#pragma once

#include <memory>

#include "backend/cuda/runtime.h"
#include "comm/communicator.h"

namespace lacuna {

class NcclCommunicator : public Communicator {
 public:
  // For a host that has waited `seconds` for the device: gives the communicator up, for good, and
  // throws an Error of status lost_rank where NCCL has lost a rank, or none has answered for the
  // deadline.
  virtual void look_after(double seconds) = 0;
};

// Collective over the ranks of `host`, each of which has a GPU of its own (refuse_shared_devices).
// Sums are NCCL's: the same bits in every run of as many ranks in the same places, not in rank
// order. Everything runs on `stream`, after what was on `kernels` at the call; a request that is
// waited for holds `kernels` back. nullptr where there is no NCCL.
std::unique_ptr<NcclCommunicator> nccl_communicator(Communicator& host, const cuda::Stream& kernels,
                                                    const cuda::Stream& stream,
                                                    double deadline = 600);

}  // namespace lacuna
