// What the doubles count and plant: allocations, waits that are left out, memory of the wrong side.
#include <cuda_runtime.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "cuda/device/support.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

}  // namespace

TEST_CASE("cuda: steps allocate nothing once the first two are done") {
  const auto self = self_communicator();
  SmallExperiment cuda("simclr", cuda_device(), *self, small_images);
  cuda.trainer().prepare(cuda.batch(0, rows).fields(), {rows});
  train_step(cuda, 0, 1, 0);
  train_step(cuda, 0, 1, 1);
  const int64_t before = cuda_double::allocations();
  train_step(cuda, 0, 1, 2);
  train_step(cuda, 0, 1, 3);
  CHECK(cuda_double::allocations() == before);
}

// The losses are those of steps that wait for each other.
TEST_CASE("cuda: a step is recorded and sent while the one before is computed") {
  const auto self = self_communicator();
  SmallExperiment cuda("simclr", cuda_device(), *self, small_images);
  SmallExperiment waiting("simclr", cuda_device(), *self, small_images);
  for (SmallExperiment* each : {&cuda, &waiting})
    each->trainer().prepare(each->batch(0, rows).fields(), {rows});
  std::vector<double> losses;
  int busy = 0;
  for (int64_t step = 0; step < 6; ++step) {
    const SmallBatch batch = cuda.batch(step * rows, (step + 1) * rows);
    cuda.trainer().record(batch.fields(), {rows}, step, 0.05, 0.1);
    if (step > 0) {
      busy += cuda_double::is_busy() ? 1 : 0;
      losses.push_back(cuda.trainer().finish()->loss);
    }
    cuda.trainer().start();
  }
  losses.push_back(cuda.trainer().finish()->loss);
  CHECK(busy >= 4);
  for (int64_t step = 0; step < 6; ++step)
    CHECK(losses[static_cast<size_t>(step)] == train_step(waiting, 0, 1, step));
}

namespace {

// Adds up what six runs upload, one behind the other without waiting: 1 + … + 6.
bool adds_up(uint64_t seed) {
  cuda_double::set_seed(seed);
  const auto device = cuda_device();
  StateStore store(*device);
  State& sum = store.create("sum", DType::f32, Shape{1000}, Role::buffer);
  Executor executor(*device);
  std::vector<float> x(1000);
  const Tensor leaf = host_leaf("x", DType::f32, Shape{1000}, x.data());
  for (int run = 1; run <= 6; ++run) {
    std::fill(x.begin(), x.end(), static_cast<float>(run));
    executor.run({}, {Update{&accumulate_operation, {sum.tensor(), leaf}, {&sum}, {}}});
  }
  return sum.values() == std::vector<double>(1000, 21);
}

bool always_right() {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    if (!adds_up(seed)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("cuda: uploads overtake neither the kernels before them nor those after") {
  CHECK(always_right());
  for (const auto fault :
       {cuda_double::Fault::waits_of_streams, cuda_double::Fault::waits_of_host}) {
    cuda_double::plant(fault);
    CHECK(!always_right());
    cuda_double::plant(cuda_double::Fault::none);
  }
}

namespace {

// Orders copies of what the second and the last of four steps leave, and looks at them then.
bool holds_both(uint64_t seed) {
  cuda_double::set_seed(seed);
  const auto device = cuda_device();
  const auto downloads = device->make_downloads();
  StateStore store(*device);
  State& sum = store.create("sum", DType::f32, Shape{1000}, Role::buffer);
  Executor executor(*device);
  const std::vector<float> x(1000, 1);
  const Tensor leaf = host_leaf("x", DType::f32, Shape{1000}, x.data());
  auto* copy = static_cast<float*>(downloads->memory(8000));
  std::fill(copy, copy + 2000, 0.f);  // not what a run before has left
  for (int run = 1; run <= 4; ++run) {
    executor.run({}, {Update{&accumulate_operation, {sum.tensor(), leaf}, {&sum}, {}}});
    if (run % 2 == 0) downloads->fetch(copy + (run - 2) * 500, sum.data(), 4000);
  }
  downloads->wait();
  return std::all_of(copy, copy + 1000, [](float value) { return value == 2; }) &&
         std::all_of(copy + 1000, copy + 2000, [](float value) { return value == 4; });
}

}  // namespace

TEST_CASE("cuda: a download holds what its step left, however far others have gone") {
  int right = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) right += holds_both(seed);
  CHECK(right == 20);
  right = 0;
  cuda_double::plant(cuda_double::Fault::waits_of_host);
  for (uint64_t seed = 1; seed <= 20; ++seed) right += holds_both(seed);
  cuda_double::plant(cuda_double::Fault::none);
  CHECK(right < 20);
}

// Every call fails from then on, those of destructors too.
TEST_CASE("cuda: a device that fails ends the run with one error") {
  const auto self = self_communicator();
  const auto run = [&] {
    SmallExperiment cuda("simclr", cuda_device(), *self, small_images);
    const auto downloads = cuda.device().make_downloads();
    downloads->memory(64);
    cuda.trainer().prepare(cuda.batch(0, rows).fields(), {rows});
    for (int64_t step = 0; step < 5; ++step) train_step(cuda, 0, 1, step);
    cuda_double::plant(cuda_double::Fault::lost_device);
    train_step(cuda, 0, 1, 5);
  };
  CHECK_THROWS_WITH(run(), Catch::Contains("the GPU failed at") &&
                               Catch::Contains("an illegal memory access was encountered"));
  cuda_double::plant(cuda_double::Fault::none);
  cuda_double::forget_all();
}

TEST_CASE("cuda: memory of the wrong side is caught") {
  const auto device = cuda_device();
  std::vector<float> host(8);
  const View on_host{host.data(), DType::f32, Shape{8}};
  const View on_device{device->allocate(32), DType::f32, Shape{8}};
  const Attributes none;
  const Kernel relu = device->find("relu", DType::f32);
  CHECK_NOTHROW(relu({{&on_device, 1}, {&on_device, 1}, none, device->context()}));
  CHECK_THROWS_WITH(relu({{&on_host, 1}, {&on_device, 1}, none, device->context()}),
                    Catch::Contains("an address of the host's memory"));
  CHECK_THROWS_WITH(device->copy_in(host.data(), on_device.data, 32),
                    Catch::Contains("not in one allocation"));
  device->release(on_device.data);
  CHECK_THROWS_WITH(relu({{&on_device, 1}, {&on_device, 1}, none, device->context()}),
                    Catch::Contains("no longer"));
}

TEST_CASE("cuda: what may not be in a recording is caught") {
  const auto device = cuda_device();
  CHECK_THROWS_WITH(device->capture([&] { device->allocate(64); }),
                    Catch::Contains("cudaMalloc while a stream captures"));
  const auto self = self_communicator();
  Communicator* nccl = device->communicator(*self);
  REQUIRE(nccl != nullptr);
  const DeviceMemory x(*device, 64);
  CHECK_NOTHROW(
      device->capture([&] { nccl->all_reduce_sum(x.data(), 8, DType::f64).wait(); })->run());
  std::vector<Request> unfinished;
  CHECK_THROWS_WITH(
      device->capture([&] { unfinished.push_back(nccl->all_reduce_sum(x.data(), 8, DType::f64)); }),
      Catch::Contains("before its streams have joined"));
}
