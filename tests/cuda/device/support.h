// The device that the tests of this folder run on: over doubles, or on a GPU.
#pragma once

#include "backend/device.h"

namespace lacuna::testing {

std::unique_ptr<Device> cuda_device(int rank = 0, bool tf32 = false);

// GPUs that a process has: as many ranks can have collectives of their own.
int gpus();

// All of it goes to the device that it was made with; a test changes what it overrides.
class ForwardingDevice : public Device {
 public:
  explicit ForwardingDevice(std::unique_ptr<Device> to) : to_(std::move(to)) {}
  std::string_view name() const override { return to_->name(); }
  std::string description() const override { return to_->description(); }
  void* allocate(size_t bytes) override { return to_->allocate(bytes); }
  void release(void* memory) override { to_->release(memory); }
  void copy_in(void* to, const void* from, size_t n) override { to_->copy_in(to, from, n); }
  void copy_out(void* to, const void* from, size_t n) override { to_->copy_out(to, from, n); }
  bool reads_host_memory() const override { return to_->reads_host_memory(); }
  std::unique_ptr<Uploads> make_uploads() override { return to_->make_uploads(); }
  std::unique_ptr<Replay> record(const std::function<void()>& work) override {
    return to_->record(work);
  }
  Communicator* communicator(Communicator& host) override { return to_->communicator(host); }
  Kernel find(std::string_view operation, DType dtype) const override {
    return to_->find(operation, dtype);
  }
  KernelContext& context() override { return to_->context(); }
  DType parameter_dtype() const override { return to_->parameter_dtype(); }
  Bf16 bf16(Isa pays_from) const override { return to_->bf16(pays_from); }

 private:
  std::unique_ptr<Device> to_;
};

}  // namespace lacuna::testing
