// The device that the tests of this folder run on: over doubles, or on a GPU.
#pragma once

#include "backend/device.h"
#include "support/forwarding_device.h"

namespace lacuna::testing {

std::unique_ptr<Device> cuda_device(int rank = 0, bool tf32 = false);

// GPUs that a process has: as many ranks can have collectives of their own.
int gpus();

}  // namespace lacuna::testing
