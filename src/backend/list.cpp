// The list of devices. The CUDA device is a module of its own, opened when it is asked for, so that the
// program starts, and quickly, where there is neither driver nor library.
#include <dlfcn.h>

#include "backend/cpu/cpu_device.h"
#include "backend/cuda/module.h"
#include "backend/device.h"
#include "backend/reference/reference_device.h"

namespace lacuna {

namespace {

// The driver's own entry: CUresult f(int*), 0 for success.
using DriverCall = int (*)(unsigned);
using DriverCount = int (*)(int*);

// Why the driver offers no GPU; "" if it does.
std::string missing_of_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return "this machine has no NVIDIA driver (libcuda.so.1)";
  const auto start = reinterpret_cast<DriverCall>(dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<DriverCount>(dlsym(driver, "cuDeviceGetCount"));
  int count = 0;
  int error = start == nullptr || count_devices == nullptr ? -1 : start(0);
  if (error == 0) error = count_devices(&count);
  if (error == 0 && count > 0) return "";
  constexpr int no_device = 100;  // CUDA_ERROR_NO_DEVICE
  if (error == 0 || error == no_device)
    return "the NVIDIA driver shows no GPU (nvidia-smi, CUDA_VISIBLE_DEVICES)";
  return concat("the NVIDIA driver does not start (error ", error, " of cuInit)");
}

struct Entry {
  void* function = nullptr;
  std::string missing;  // why there is none
};

Entry entry_of_module(const char* name) {
  void* module = dlopen(cuda_module_file, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return {nullptr, concat("the CUDA module cannot be opened: ", dlerror())};
  void* function = dlsym(module, name);
  if (function == nullptr)
    return {nullptr, concat(cuda_module_file, " is not this program's module")};
  return {function, ""};
}

Entry open_module() {
  if (std::string missing = missing_of_driver(); !missing.empty()) return {nullptr, missing};
  return entry_of_module(cuda_module_entry);
}

const Entry& cuda() {
  static const Entry opened = open_module();
  return opened;
}

}  // namespace

std::string fastest_device() { return cuda().missing.empty() ? "cuda" : "cpu"; }

std::unique_ptr<Device> make_device(std::string_view name, int threads, Isa most,
                                    const GpuOptions& gpu) {
  if (name == "cpu") return std::make_unique<CpuDevice>(threads, most);
  if (name == "reference") return std::make_unique<ReferenceDevice>();
  if (name != "cuda")
    bad_input("there is no device \"", name, "\": use \"cpu\", \"cuda\" or \"reference\"");
  if (const std::string& missing = cuda().missing; !missing.empty()) {
    bad_input("train.device is \"cuda\", but ", missing,
              ": mend that, or set train.device to \"cpu\"");
  }
  return std::unique_ptr<Device>(reinterpret_cast<MakeCudaDevice>(cuda().function)(gpu));
}

std::unique_ptr<PlannedDevice> make_planned_device(const Board& board, const GpuOptions& options) {
  // Before cuDNN, which finds it by its name.
  const bool driver = dlopen(planning_driver_file, RTLD_NOW | RTLD_LOCAL) != nullptr;
  const Entry entry = driver ? entry_of_module(planned_device_entry) : Entry{nullptr, dlerror()};
  if (!entry.missing.empty()) {
    bad_input("nothing can be planned for ", board.what, ": ", entry.missing,
              ": install Lacuna's CUDA module and cuDNN here, or build it with them");
  }
  GpuOptions planned = options;
  planned.board = board.properties;
  return std::unique_ptr<PlannedDevice>(
      reinterpret_cast<MakePlannedDevice>(entry.function)(planned));
}

}  // namespace lacuna
