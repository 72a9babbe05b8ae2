#include "backend/cpu/cpu_device.h"

#include <algorithm>

#include "kernels/cpu/support/context.h"
#include "kernels/cpu/support/instruction_set.h"
#include "kernels/cpu/support/onednn.h"
#include "kernels/cpu/support/table.h"

namespace lacuna {

class CpuDevice::Context final : public CpuContext {
 public:
  Context(int threads, ConvolutionMethods convolutions)
      : threads_(threads), convolutions_(convolutions), onednn_(threads) {}
  void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
  void* workspace(size_t bytes) override { return workspace_.at_least(bytes); }
  int threads() const override { return threads_; }
  OneDnn& onednn() override { return onednn_; }
  ConvolutionMethods convolution_methods() const override { return convolutions_; }

 private:
  int threads_;
  ConvolutionMethods convolutions_;
  HostScratch scratch_, workspace_;
  OneDnn onednn_;
};

CpuDevice::CpuDevice(int threads, Isa most, ConvolutionMethods convolutions) : most_(most) {
  LACUNA_CHECK(threads >= 1);
  // Below, vectors are too short for Winograd's kernels to gain anything.
  if (std::min(most, detect_isa()) < Isa::avx2) convolutions = ConvolutionMethods::direct;
  limit_instruction_set(most);
  context_ = std::make_unique<Context>(threads, convolutions);
}

CpuDevice::~CpuDevice() = default;

std::string CpuDevice::description() const {
  switch (context_->convolution_methods()) {
    case ConvolutionMethods::exact:
      return "cpu device (exact convolutions)";
    case ConvolutionMethods::fast:
      return "cpu device (fast convolutions)";
    case ConvolutionMethods::direct:
      break;
  }
  return HostDevice::description();
}

Kernel CpuDevice::find(std::string_view operation, DType dtype) const {
  return find_kernel(cpu_kernels(), operation, dtype);
}

KernelContext& CpuDevice::context() { return *context_; }

Device::Bf16 CpuDevice::bf16(Isa pays_from) const {
  if (most_ < Isa::avx512 || !onednn_has_bf16()) return Bf16::absent;
  return most_ < pays_from ? Bf16::slower : Bf16::faster;
}

}  // namespace lacuna
