// Device: memory, and the one table of kernels. Everything above it is the same on every device.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/cpu_features.h"
#include "kernels/kernel.h"

namespace lacuna {

class Device {
 public:
  virtual ~Device() = default;

  // "reference" or "cpu": the value of train.device.
  virtual std::string_view name() const = 0;
  // Memory of the device, 64-byte aligned, zeroed. Throws std::bad_alloc.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual void copy_in(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, size_t bytes) = 0;
  // Whether kernels, and the host, may read each other's memory where it lies. If not, leaves are copied in,
  // collectives go by way of the host, and checkpoints are copied out.
  virtual bool reads_host_memory() const = 0;
  // The kernel of an operation for a dtype of its first input, or nullptr.
  virtual Kernel find(std::string_view operation, DType dtype) const = 0;
  virtual KernelContext& context() = 0;
  // The floating-point type of parameters and losses here: f64 on the reference device, else f32.
  virtual DType parameter_dtype() const = 0;
};

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

// The devices by name; the one list. `threads` counts the compute threads of this rank.
// `most`: the instruction set that kernels may use (CpuDevice).
// An unknown name is bad_input that lists what there is.
std::unique_ptr<Device> make_device(std::string_view name, int threads, Isa most = detect_isa());

}  // namespace lacuna
