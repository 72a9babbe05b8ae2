// Numbers in a device's memory, for tests of what is done with them.
#pragma once

#include <numeric>
#include <vector>

#include "backend/device.h"

namespace lacuna::testing {

// A tensor of a rank's device, filled with numbers that tell rank and place.
struct OnDevice {
  OnDevice(Device& on, size_t count, double first)
      : device(on), memory(on, count * sizeof(double)), values(count) {
    std::iota(values.begin(), values.end(), first);
    device.copy_in(memory.data(), values.data(), memory.bytes());
  }
  std::vector<double> read() {
    device.copy_out(values.data(), memory.data(), memory.bytes());
    return values;
  }
  Device& device;
  DeviceMemory memory;
  std::vector<double> values;
};

inline std::vector<double> counting(size_t count, double first, double step = 1) {
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) values.push_back(first + step * static_cast<double>(i));
  return values;
}

}  // namespace lacuna::testing
