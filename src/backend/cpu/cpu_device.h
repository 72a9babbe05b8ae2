// The CPU device: kernels/cpu over an OpenMP team, f32 parameters.
#pragma once

#include <memory>

#include "backend/host_memory.h"
#include "base/cpu_features.h"
#include "kernels/convolution.h"

namespace lacuna {

class CpuDevice final : public HostDevice {
 public:
  // `most`: what kernels may use; less than the processor has holds for the whole process and must
  // be said before its first kernel runs.
  explicit CpuDevice(int threads, Isa most = detect_isa(),
                     ConvolutionMethods convolutions = ConvolutionMethods::direct);
  ~CpuDevice() override;
  std::string_view name() const override { return "cpu"; }
  std::string description() const override;
  Kernel find(std::string_view operation, DType dtype) const override;
  KernelContext& context() override;
  DType parameter_dtype() const override { return DType::f32; }
  // The bf16 kernels need AVX-512.
  Bf16 bf16(Isa pays_from) const override;

 private:
  class Context;
  Isa most_;
  std::unique_ptr<Context> context_;
};

}  // namespace lacuna
