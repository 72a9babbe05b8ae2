#include "backend/cuda/cuda_dry_run_device.h"

#include <cstring>

#include "backend/cuda/cuda_device.h"
#include "backend/host_memory.h"
#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/cudnn.h"
#include "kernels/cuda/support/table.h"

namespace lacuna {

class CudaDryRunDevice::Context final : public CudaContext {
 public:
  Context(CudaDryRunDevice& device, const GpuOptions& options)
      : device_(device),
        cudnn_(nullptr, {.deterministic = options.deterministic,
                         .tf32 = options.tf32,
                         .engines = options.engines,
                         .board = options.board,
                         .plans_only = true}) {}
  void* scratch(size_t bytes) override {
    if (bytes > scratch_.bytes()) {
      scratch_ = DeviceMemory();
      scratch_ = DeviceMemory(device_, bytes);
    }
    return scratch_.data();
  }
  cudaStream_t stream() override { return nullptr; }
  bool starts_kernels() const override { return false; }
  int64_t blocks() const override { return int64_t{8} * 132; }
  Cudnn& cudnn() override { return cudnn_; }

 private:
  CudaDryRunDevice& device_;
  DeviceMemory scratch_;
  Cudnn cudnn_;
};

// Two blocks, as the device has.
class CudaDryRunDevice::Blocks final : public Uploads {
 public:
  explicit Blocks(CudaDryRunDevice& device) : device_(device) {}
  void* fill(size_t bytes) override {
    if (bytes > memory_.bytes()) memory_ = DeviceMemory(device_, 2 * bytes);
    return host_.at_least(bytes);
  }
  void* send() override { return memory_.data(); }

 private:
  CudaDryRunDevice& device_;
  HostScratch host_;
  DeviceMemory memory_;
};

CudaDryRunDevice::CudaDryRunDevice(const GpuOptions& options)
    : context_(std::make_unique<Context>(*this, options)) {}
CudaDryRunDevice::~CudaDryRunDevice() { context_.reset(); }

// Addresses that nothing follows.
void* CudaDryRunDevice::allocate(size_t bytes) {
  constexpr size_t alignment = 512;
  const uintptr_t at = next_;
  next_ += (bytes + alignment) / alignment * alignment;
  blocks_[at] = bytes;
  bytes_ += bytes;
  most_bytes_ = std::max(most_bytes_, bytes_);
  return reinterpret_cast<void*>(at);
}
void CudaDryRunDevice::release(void* memory) {
  const auto block = blocks_.find(reinterpret_cast<uintptr_t>(memory));
  bytes_ -= block->second;
  blocks_.erase(block);
}

void CudaDryRunDevice::copy_out(void* host, const void*, size_t bytes) {
  if (bytes > 0) std::memset(host, 0, bytes);
}

std::unique_ptr<Uploads> CudaDryRunDevice::make_uploads() {
  return std::make_unique<Blocks>(*this);
}

Kernel CudaDryRunDevice::find(std::string_view operation, DType dtype) const {
  return find_cuda_kernel(operation, dtype);
}

KernelContext& CudaDryRunDevice::context() { return *context_; }

std::vector<LibraryPlan> CudaDryRunDevice::library_plans() const {
  return plans_of(context_->cudnn());
}

std::string CudaDryRunDevice::description() const {
  const size_t version = Cudnn::version();
  return concat("planned by cuDNN ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

}  // namespace lacuna
