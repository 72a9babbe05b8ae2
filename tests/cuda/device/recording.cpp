// Steps that are recorded once and started by one call: they compute what others do, and a recording holds nothing
// that may not be in one.
#include <catch2/catch.hpp>

#include "cuda/device/support.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

// The device, but it records nothing.
class Unrecorded final : public Device {
 public:
  explicit Unrecorded(int rank) : cuda_(cuda_device(rank)) {}
  std::string_view name() const override { return cuda_->name(); }
  void* allocate(size_t bytes) override { return cuda_->allocate(bytes); }
  void release(void* memory) override { cuda_->release(memory); }
  void copy_in(void* to, const void* from, size_t n) override { cuda_->copy_in(to, from, n); }
  void copy_out(void* to, const void* from, size_t n) override { cuda_->copy_out(to, from, n); }
  bool reads_host_memory() const override { return false; }
  std::unique_ptr<Uploads> make_uploads() override { return cuda_->make_uploads(); }
  Communicator* communicator(Communicator& host) override { return cuda_->communicator(host); }
  Kernel find(std::string_view operation, DType dtype) const override {
    return cuda_->find(operation, dtype);
  }
  KernelContext& context() override { return cuda_->context(); }
  DType parameter_dtype() const override { return cuda_->parameter_dtype(); }
  Bf16 bf16(Isa pays_from) const override { return cuda_->bf16(pays_from); }

 private:
  std::unique_ptr<Device> cuda_;
};

constexpr int64_t steps = 7;

}  // namespace

TEST_CASE("cuda: recorded steps give the bits of those that are not") {
  const auto recorded = three_steps(
      "simclr", [](int rank) { return cuda_device(rank); }, small_images, steps);
  const auto started = three_steps(
      "simclr", [](int rank) { return std::make_unique<Unrecorded>(rank); }, small_images, steps);
  CHECK(recorded.losses.size() == steps);
  CHECK(recorded == started);
}

TEST_CASE("cuda: what may not be in a recording is caught") {
  const auto device = cuda_device();
  CHECK_THROWS_WITH(device->record([&] { device->allocate(64); }),
                    Catch::Contains("cudaMalloc while a stream captures"));
  const auto self = self_communicator();
  Communicator* nccl = device->communicator(*self);
  REQUIRE(nccl != nullptr);
  const DeviceMemory x(*device, 64);
  CHECK_NOTHROW(
      device->record([&] { nccl->all_reduce_sum(x.data(), 8, DType::f64).wait(); })->run());
  std::vector<Request> unfinished;
  CHECK_THROWS_WITH(
      device->record([&] { unfinished.push_back(nccl->all_reduce_sum(x.data(), 8, DType::f64)); }),
      Catch::Contains("before its streams have joined"));
}
