// A device that another one stands behind.
#pragma once

#include <memory>
#include <utility>

#include "backend/device.h"

namespace lacuna::testing {

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
  std::unique_ptr<Downloads> make_downloads() override { return to_->make_downloads(); }
  std::unique_ptr<Stopwatch> make_stopwatch() override { return to_->make_stopwatch(); }
  std::unique_ptr<Replay> capture(const std::function<void()>& work) override {
    return to_->capture(work);
  }
  Communicator* communicator(Communicator& host) override { return to_->communicator(host); }
  Kernel find(std::string_view operation, DType dtype) const override {
    return to_->find(operation, dtype);
  }
  KernelContext& context() override { return to_->context(); }
  std::vector<LibraryPlan> library_plans() const override { return to_->library_plans(); }
  DType parameter_dtype() const override { return to_->parameter_dtype(); }
  Bf16 bf16(Isa pays_from) const override { return to_->bf16(pays_from); }

 private:
  std::unique_ptr<Device> to_;
};

}  // namespace lacuna::testing
