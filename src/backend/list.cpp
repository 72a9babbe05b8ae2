// The list of devices.
#include "backend/cpu/cpu_device.h"
#include "backend/device.h"
#include "backend/reference/reference_device.h"

namespace lacuna {

std::unique_ptr<Device> make_device(std::string_view name, int threads, Isa most) {
  if (name == "cpu") return std::make_unique<CpuDevice>(threads, most);
  if (name == "reference") return std::make_unique<ReferenceDevice>();
  bad_input("there is no device \"", name, "\": use \"cpu\" or \"reference\"");
}

}  // namespace lacuna
