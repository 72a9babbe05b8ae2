// The list of devices. The CUDA device is a module of its own, opened when it is asked for, so that
// the program starts, and quickly, where there is neither driver nor library.
#include "backend/list.h"

#include <dlfcn.h>

#include "backend/cpu/cpu_device.h"
#include "backend/cuda/module.h"
#include "backend/reference/reference_device.h"

namespace lacuna {

namespace {

// A call of the driver's, which gives CUresult, 0 for success.
template <typename... Parameters>
int call(void* driver, const char* name, Parameters... parameters) {
  using Function = int (*)(Parameters...);
  const auto function = reinterpret_cast<Function>(dlsym(driver, name));
  return function == nullptr ? -1 : function(parameters...);
}

// "" where every GPU is new enough.
std::string too_old(void* driver, int count) {
  constexpr int major_capability = 75, minor_capability = 76;  // CUdevice_attribute
  for (int number = 0; number < count; ++number) {
    int device = 0;
    int major = 0;
    int minor = 0;
    if (call(driver, "cuDeviceGet", &device, number) != 0) continue;
    call(driver, "cuDeviceGetAttribute", &major, major_capability, device);
    call(driver, "cuDeviceGetAttribute", &minor, minor_capability, device);
    if (major < least_capability)
      return concat("GPU ", number, " has compute capability ", major, ".", minor, " and ",
                    least_capability, ".0 (A100) is the least that Lacuna is built for");
  }
  return "";
}

// Why the driver offers no GPU; "" if it does.
std::string missing_of_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return "this machine has no NVIDIA driver (libcuda.so.1)";
  int count = 0;
  int error = call(driver, "cuInit", 0u);
  if (error == 0) error = call(driver, "cuDeviceGetCount", &count);
  if (error == 0 && count > 0) return too_old(driver, count);
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
  const Entry version = entry_of_module(cuda_module_version);
  if (!version.missing.empty()) return version;
  // Drivers run what was built for their major version (CUDA Compatibility, "Minor Version
  // Compatibility").
  const int built = *static_cast<const int*>(version.function);
  int driver = 0;
  call(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL), "cuDriverGetVersion", &driver);
  if (driver / 1000 < built / 1000)
    return {nullptr, concat("the NVIDIA driver is for CUDA ", driver / 1000, ".",
                            driver % 1000 / 10, " and Lacuna was built with CUDA ", built / 1000,
                            ".", built % 1000 / 10, ", which needs a newer driver")};
  return entry_of_module(cuda_module_entry);
}

const Entry& cuda() {
  static const Entry opened = open_module();
  return opened;
}

}  // namespace

std::string fastest_device() { return cuda().missing.empty() ? "cuda" : "cpu"; }

std::unique_ptr<Device> make_device(std::string_view name, int threads, Isa most,
                                    const GpuOptions& gpu, ConvolutionMethods convolutions) {
  if (name == "cpu") return std::make_unique<CpuDevice>(threads, most, convolutions);
  if (name == "reference") return std::make_unique<ReferenceDevice>();
  if (name != "cuda")
    bad_input("there is no device \"", name, "\": use \"cpu\", \"cuda\" or \"reference\"");
  if (const std::string& missing = cuda().missing; !missing.empty()) {
    bad_input("train.device is \"cuda\", but ", missing,
              ": mend that, or set train.device to \"cpu\"");
  }
  return std::unique_ptr<Device>(reinterpret_cast<MakeCudaDevice>(cuda().function)(gpu));
}

std::unique_ptr<DryRunDevice> make_dry_run_device(const Board& board, const GpuOptions& options) {
  // Before cuDNN, which finds it by its name.
  const bool driver = dlopen(planning_driver_file, RTLD_NOW | RTLD_LOCAL) != nullptr;
  const Entry entry = driver ? entry_of_module(dry_run_device_entry) : Entry{nullptr, dlerror()};
  if (!entry.missing.empty()) {
    bad_input("nothing can be planned for ", board.what, ": ", entry.missing,
              ": install Lacuna's CUDA module and cuDNN here, or build it with them");
  }
  GpuOptions planned = options;
  planned.board = board.properties;
  return std::unique_ptr<DryRunDevice>(reinterpret_cast<MakeDryRunDevice>(entry.function)(planned));
}

}  // namespace lacuna
