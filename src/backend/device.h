// Device: memory, and the one table of kernels. Everything above it is the same on every device.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_features.h"
#include "comm/communicator.h"
#include "kernels/kernel.h"

namespace lacuna {

// Host data on its way to a device, block after block. A block's transfer goes on beside the
// kernels that were started before it.
class Uploads {
 public:
  virtual ~Uploads() = default;
  // Host memory for the next block, of `bytes`, 64-byte aligned; its content is undefined.
  virtual void* fill(size_t bytes) = 0;
  // Sends what fill() gave. Kernels that are started from here on find it at the returned address
  // of the device, until the next call of send(). The host's memory may not be touched any more.
  virtual void* send() = 0;
};

// Device memory on its way to the host, beside what is started after it.
class Downloads {
 public:
  virtual ~Downloads() = default;
  // Host memory for the next ones, of `bytes`, 64-byte aligned. What was given before is gone; it
  // has arrived.
  virtual void* memory(size_t bytes) = 0;
  // Fetches to a place in memory() what the kernels that were started so far leave at `device`. May
  // return before it has arrived.
  virtual void fetch(void* to, const void* device, size_t bytes) = 0;
  // Returns when all has arrived. Any thread may wait.
  virtual void wait() = 0;
};

// Work of a device that was recorded once and runs again at one call.
class Replay {
 public:
  virtual ~Replay() = default;
  // Whether all memory that the work uses is still there.
  virtual bool is_valid() const = 0;
  // Starts it, behind what was started before.
  virtual void run() = 0;
};

// Times what a device does, in the order of its kernels.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // Behind what was started so far.
  virtual void mark() = 0;
  // Seconds from each mark to the next, once the device has reached the last. Starts anew.
  virtual std::vector<double> laps() = 0;
};

// A plan of a device's library (cuDNN) for one problem.
struct LibraryPlan {
  std::string problem;    // operation, types and sizes
  std::string engine;     // the library's name of engine and knobs; "": none, a kernel of ours runs
  int64_t workspace = 0;  // bytes
  int64_t candidates = 0;  // plans that the heuristics offered
};

class Device {
 public:
  virtual ~Device() = default;

  // "reference", "cpu" or "cuda": the value of train.device.
  virtual std::string_view name() const = 0;
  // For people, and for the environment that a checkpoint stores: what the bits of a result depend
  // on.
  virtual std::string description() const { return concat(name(), " device"); }
  // Where it is on its machine, of a device that one rank must have for itself; otherwise "".
  virtual std::string address() const { return ""; }
  // Memory of the device, 64-byte aligned, zeroed. Throws std::bad_alloc.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual void copy_in(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, size_t bytes) = 0;
  // Whether kernels, and the host, may read each other's memory where it lies. If not, leaves are
  // copied in, collectives go by way of the host, and checkpoints are copied out.
  virtual bool reads_host_memory() const = 0;
  // Only of devices that do not read the host's memory. It ends before the device does.
  virtual std::unique_ptr<Uploads> make_uploads() {
    LACUNA_CHECK(false, "uploads to ", name());
    return nullptr;
  }
  // It ends before the device does.
  virtual std::unique_ptr<Downloads> make_downloads();
  // It ends before the device does. The host's clock, unless the device goes on by itself.
  virtual std::unique_ptr<Stopwatch> make_stopwatch();
  // Records what `work` starts on this device, instead of starting it. nullptr, and `work` is not
  // called, where devices cannot.
  virtual std::unique_ptr<Replay> capture(const std::function<void()>& work [[maybe_unused]]) {
    return nullptr;
  }
  // Collectives on this device's memory over the ranks of `host`, in the order of its kernels;
  // `host` outlives the device. The first call for a host is collective. nullptr where there are
  // none.
  virtual Communicator* communicator(Communicator& host [[maybe_unused]]) { return nullptr; }
  // The kernel of an operation for a dtype of its first input, or nullptr.
  virtual Kernel find(std::string_view operation, DType dtype) const = 0;
  virtual KernelContext& context() = 0;
  // The library's plans so far, by problem; none where there is no library that plans.
  virtual std::vector<LibraryPlan> library_plans() const { return {}; }
  // The floating-point type of parameters and losses here: f64 on the reference device, else f32.
  virtual DType parameter_dtype() const = 0;
  // What bf16 activations are here; `pays_from` is the least instruction set at which they are
  // faster than f32 on every rank's processor.
  enum class Bf16 { absent, slower, faster };
  virtual Bf16 bf16(Isa pays_from) const = 0;
};

// Downloads that have arrived when fetch() returns. Without a device, of the host's memory.
std::unique_ptr<Downloads> immediate_downloads(Device* device);

// Device memory with an owner.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(Device& device, size_t bytes)
      : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr) device_->release(data_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void swap(DeviceMemory& other) {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// What a GPU is told.
struct GpuOptions {
  int local_rank = 0;         // among the ranks of this node
  bool deterministic = true;  // only what gives the same bits in every run
  bool tf32 = false;          // f32 products with 10 bits of mantissa, summed in f32
  bool capture = true;        // steps as CUDA graphs
  // Engines by problem, as library_plans() has them: what is not among them is left to the
  // library's heuristics. An engine that the library does not offer here is bad_input.
  std::map<std::string, std::string> engines = {};
  bool time_plans =
      false;  // the fastest of the offered plans, by running each when a problem is first seen
  std::string board =
      "";  // properties of the GPU to plan for, in cuDNN's JSON; "": the one at hand
};

}  // namespace lacuna
