// Collectives on devices whose memory the communicator cannot reach: by way of the host.
#pragma once

#include <span>

#include "backend/device.h"
#include "comm/communicator.h"
#include "graph/tensor.h"

namespace lacuna {

// As operation.start(communicator, call, rows), where call's operands lie in the device's memory:
// inputs are copied to the host now, outputs to the device when the request is waited for.
Request start_staged(const Operation& operation, Communicator& communicator, const Call& call,
                     std::span<const int64_t> rows, Device& device);

}  // namespace lacuna
