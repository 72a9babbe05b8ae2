// A GPU that there is not: what runs on it starts nothing, and leaves behind which plans of cuDNN and how much memory
// it would need. Needs neither driver nor device; values that are read from it are zeros.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "backend/device.h"
#include "kernels/cuda/cudnn.h"

namespace lacuna {

class PlanningDevice final : public Device {
 public:
  // options.board: the properties of the GPU.
  explicit PlanningDevice(const GpuOptions& options);
  ~PlanningDevice() override;

  std::string_view name() const override { return "cuda"; }
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void copy_in(void*, const void*, size_t) override {}
  void copy_out(void* host, const void* device, size_t bytes) override;
  bool reads_host_memory() const override { return false; }
  std::unique_ptr<Uploads> make_uploads() override;
  Kernel find(std::string_view operation, DType dtype) const override;
  KernelContext& context() override;
  DType parameter_dtype() const override { return DType::f32; }
  Bf16 bf16(Isa) const override { return Bf16::faster; }

  // Memory of the device: the most at once so far.
  size_t most_bytes() const { return most_bytes_; }
  // All plans so far, by problem.
  std::vector<CudnnPlan> plans() const;

 private:
  class Context;
  class Blocks;
  std::map<uintptr_t, size_t> blocks_;
  uintptr_t next_ = uintptr_t{1} << 30;
  size_t bytes_ = 0, most_bytes_ = 0;
  std::unique_ptr<Context> context_;
};

}  // namespace lacuna
