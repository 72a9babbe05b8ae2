// The CPU's kernels on memory of their own: what a GPU demands of the program, on any machine. The
// memory is closed to the host but while a kernel or a copy runs, so a host that reads or writes it
// dies at once; and a kernel that is given other memory throws.
#pragma once

#include <memory>

#include "backend/cpu/cpu_device.h"

namespace lacuna {

class SeparateDevice final : public Device {
 public:
  explicit SeparateDevice(int threads);
  ~SeparateDevice() override;

  std::string_view name() const override { return "separate"; }
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void copy_in(void* device, const void* host, size_t bytes) override;
  void copy_out(void* host, const void* device, size_t bytes) override;
  bool reads_host_memory() const override { return false; }
  std::unique_ptr<Uploads> make_uploads() override;
  Kernel find(std::string_view operation, DType dtype) const override;
  KernelContext& context() override { return cpu_.context(); }
  DType parameter_dtype() const override { return cpu_.parameter_dtype(); }
  Bf16 bf16(Isa pays_from) const override { return cpu_.bf16(pays_from); }

  class Memory;

 private:
  CpuDevice cpu_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace lacuna
