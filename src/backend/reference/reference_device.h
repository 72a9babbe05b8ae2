// The reference device: everything in double precision, by kernels/reference.
#pragma once

#include "backend/host_memory.h"

namespace lacuna {

class ReferenceDevice final : public HostDevice {
 public:
  std::string_view name() const override { return "reference"; }
  Kernel find(std::string_view operation, DType dtype) const override;
  KernelContext& context() override { return context_; }
  DType parameter_dtype() const override { return DType::f64; }
  Bf16 bf16(Isa) const override { return Bf16::absent; }

 private:
  class Context final : public KernelContext {
   public:
    void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }

   private:
    HostScratch scratch_;
  };
  Context context_;
};

}  // namespace lacuna
