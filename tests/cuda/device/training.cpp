// Training on two ranks of the CUDA device, beside the CPU.
#include <catch2/catch.hpp>

#include "backend/list.h"
#include "cuda/device/support.h"
#include "support/experiment_checkpoint.h"
#include "support/temporary_folder.h"
#include "support/three_steps.h"
#include "train/loss_scale.h"

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

TEST_CASE("cuda: a checkpoint that is written while training goes on holds its own step") {
  const auto self = self_communicator();
  const TemporaryFolder folder;
  SmallExperiment cuda("simclr", cuda_device(), *self, small_images);
  cuda.trainer().prepare(cuda.batch(0, rows).fields(), {rows});
  CheckpointWriter writer(folder.path(), {}, 0);
  std::vector<std::vector<double>> state;
  for (int64_t step = 1; step <= 3; ++step) {  // the memory of one is that of the one before
    train_step(cuda, 0, 1, step);
    state.clear();
    for (const State& each : cuda.store().all()) state.push_back(each.values());
    CheckpointInfo info;
    info.step = step;
    info.position = step * rows;
    writer.start(info, StoredState(cuda.store(), *self, true).tensors());
    train_step(cuda, 0, 1, step + 10);
  }
  writer.wait();
  SmallExperiment cpu("simclr", make_device("cpu", 1), *self, small_images);
  cpu.trainer().prepare(cpu.batch(0, rows).fields(), {rows});
  load(cpu, folder.path(), 3);
  auto expected = state.begin();
  for (const State& each : cpu.store().all()) CHECK(each.values() == *expected++);
}

namespace {

SmallExperiment in_float16(const std::string& objective, Communicator& self,
                           const SmallImages& images, StepOptions options = {}) {
  options.compute = DType::f16;
  return SmallExperiment(objective, cuda_device(), self, images, options);
}

std::vector<std::vector<double>> all_state(SmallExperiment& experiment) {
  std::vector<std::vector<double>> all;
  for (const State& state : experiment.store().all()) {
    if (state.role() != Role::buffer) all.push_back(state.values());
  }
  return all;
}

}  // namespace

// The tolerances of bfloat16's test beside float32 (tests/train/bfloat16.cpp), for float16's finer
// numbers and fewer steps.
TEST_CASE("cuda: training in float16 follows the cpu's, with the loss scaled") {
  const auto self = self_communicator();
  constexpr int64_t batch = 16;
  const SmallImages vit{.size = 16, .channels = 1, .width = 4, .encoder = small_vit};
  for (const SmallImages& images : {SmallImages{}, vit}) {
    StepOptions options;
    options.clip = images.encoder.empty() ? 0.01 : 0;
    SmallExperiment half = in_float16("simclr", *self, images, options);
    SmallExperiment cpu("simclr", make_device("cpu", 1), *self, images, options);
    for (SmallExperiment* each : {&half, &cpu})
      each->trainer().prepare(each->batch(0, batch).fields(), {batch});
    State& scale = *half.store().find(loss_scaling);
    CHECK(scale.values() == std::vector<double>{65536, 0});
    const std::vector<double> start = {512, 0};  // such a small batch has large gradients
    scale.write(start.data());
    for (int64_t step = 0; step < 3; ++step) {
      const auto train = [&](SmallExperiment& each) {
        return each.trainer().step(each.batch(0, batch).fields(), {batch}, step, 3e-4, 0);
      };
      const StepResult a = train(half);
      const StepResult b = train(cpu);
      CAPTURE(images.encoder, step, a.loss, b.loss, a.gradient_norm, b.gradient_norm);
      CHECK(relative(a.loss, b.loss) < 5e-3);
      if (options.clip > 0) CHECK(relative(a.gradient_norm, b.gradient_norm) < 2e-2);
      CHECK(a.metrics.at("loss_scale") == 512);
    }
    CHECK(scale.values() == std::vector<double>{512, 3});
    CHECK(half.trainer().executor().plan_count() == 1);
  }
}

TEST_CASE("cuda: a step in float16 whose gradients overflow is left out, and the scale halved") {
  const auto self = self_communicator();
  SmallExperiment half = in_float16("simclr", *self, small_images);
  half.trainer().prepare(half.batch(0, rows).fields(), {rows});
  State& scale = *half.store().find(loss_scaling);
  const std::vector<double> large = {0x1p40, 5};
  scale.write(large.data());
  const auto before = all_state(half);
  int64_t left_out = 0;
  double value = large[0];
  for (; all_state(half) == before && left_out < 40; ++left_out) {
    train_step(half, 0, 1, left_out);
    if (all_state(half) != before) break;
    value /= 2;
    CHECK(scale.values() == std::vector<double>{value, 0});
  }
  CHECK(left_out > 5);
  CHECK(left_out < 40);
  CHECK(scale.values() == std::vector<double>{value, 1});
  for (const auto& values : all_state(half)) {
    for (const double x : values) REQUIRE(std::isfinite(x));
  }
}
