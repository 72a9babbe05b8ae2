// Views that a device makes beside those that the host makes of the same draws.
#pragma once

#include "backend/device.h"

namespace lacuna::testing {

// The largest difference between a device's views and the host's, over recipes with every
// transform, samples of each stored type and number of channels. `shift`: the device is given the
// draws of as many samples further, a fault that must be seen.
double views_against_host(Device& device, DType compute, uint64_t shift = 0);

}  // namespace lacuna::testing
