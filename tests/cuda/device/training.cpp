// Training on two ranks of the CUDA device over the doubles, beside the CPU; what is allocated; and faults
// that must be seen.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "../../train/temporary_folder.h"
#include "cuda/device/support.h"
#include "graph/differentiate.h"
#include "support/experiment_checkpoint.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

const SmallImages small_vit_images = {
    .size = 16, .channels = 1, .width = 4, .encoder = small_vit, .objective = "", .view = 0};

double relative(double a, double b) { return std::abs(a - b) / std::abs(b); }

void compare_with_cpu(const std::string& objective, const SmallImages& images) {
  CAPTURE(objective);
  const Trace cpu = three_steps(
      objective, [](int) { return make_device("cpu", 1); }, images);
  const Trace cuda = three_steps(
      objective, [](int rank) { return cuda_device(rank); }, images);
  REQUIRE(cuda.losses.size() == 3);
  CHECK(relative(cuda.losses[0], cpu.losses[0]) < 1e-5);
  CHECK(relative(cuda.losses[1], cpu.losses[1]) < 1e-2);
  CHECK(relative(cuda.losses[2], cpu.losses[2]) < 1e-2);
}

}  // namespace

TEST_CASE("cuda: every objective trains a ResNet as on the cpu") {
  for (const std::string& objective : objective_names()) compare_with_cpu(objective, small_images);
}

TEST_CASE("cuda: every objective trains a vision transformer as on the cpu") {
  for (const std::string& objective : objective_names()) {
    if (objective != "inpaint") compare_with_cpu(objective, small_vit_images);
  }
}

TEST_CASE("cuda: a checkpoint goes from one device to the other and back") {
  const auto self = self_communicator();
  const TemporaryFolder folder;
  SmallExperiment cpu("byol", make_device("cpu", 1), *self, small_images);
  SmallExperiment cuda("byol", cuda_device(), *self, small_images);
  for (SmallExperiment* experiment : {&cpu, &cuda})
    experiment->trainer().prepare(experiment->batch(0, rows).fields(), {rows});
  const auto same = [&] {
    auto a = cpu.store().all().begin();
    for (const State& b : cuda.store().all()) {
      CHECK(a->values() == b.values());
      ++a;
    }
  };
  train_step(cuda, 0, 1, 0);
  save(cuda, folder.path(), 1);
  load(cpu, folder.path(), 1);
  same();
  CHECK(relative(train_step(cpu, 0, 1, 1), train_step(cuda, 0, 1, 1)) < 1e-5);
  train_step(cpu, 0, 1, 2);
  save(cpu, folder.path(), 3);
  load(cuda, folder.path(), 3);
  same();
}

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
