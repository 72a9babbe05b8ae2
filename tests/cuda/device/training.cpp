// Training on two ranks of the CUDA device, beside the CPU.
#include <catch2/catch.hpp>

#include "../../train/temporary_folder.h"
#include "cuda/device/support.h"
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
