// The dry-run device (backend/dry_run_device.h) over the same kernels and the same plans as the
// CUDA device's.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "backend/dry_run_device.h"

namespace lacuna {

class CudaDryRunDevice final : public DryRunDevice {
 public:
  // options.board: the properties of the GPU.
  explicit CudaDryRunDevice(const GpuOptions& options);
  ~CudaDryRunDevice() override;

  std::string_view name() const override { return "cuda"; }
  std::string description() const override;
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void copy_in(void*, const void*, size_t) override {}
  void copy_out(void* host, const void* device, size_t bytes) override;
  bool reads_host_memory() const override { return false; }
  std::unique_ptr<Uploads> make_uploads() override;
  Kernel find(std::string_view operation, DType dtype) const override;
  // Collectives start nothing either: `host` is one of absent ranks.
  Communicator* communicator(Communicator& host) override { return &host; }
  KernelContext& context() override;
  DType parameter_dtype() const override { return DType::f32; }
  Bf16 bf16(Isa) const override { return Bf16::faster; }

  size_t most_bytes() const override { return most_bytes_; }
  std::vector<LibraryPlan> library_plans() const override;

 private:
  class Context;
  class Blocks;
  std::map<uintptr_t, size_t> blocks_;
  uintptr_t next_ = uintptr_t{1} << 30;
  size_t bytes_ = 0, most_bytes_ = 0;
  std::unique_ptr<Context> context_;
};

}  // namespace lacuna
