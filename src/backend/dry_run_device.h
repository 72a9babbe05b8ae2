// A GPU that is not here: what runs on it starts nothing, and leaves behind which plans of the
// library and how much memory it would need. Values that are read from it are zeros.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/boards.h"
#include "backend/device.h"

namespace lacuna {

class DryRunDevice : public Device {
 public:
  // Memory of the device: the most at once so far, in bytes. Without what driver, cuDNN and NCCL
  // take for themselves.
  virtual size_t most_bytes() const = 0;
};

}  // namespace lacuna
