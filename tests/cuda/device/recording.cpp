// Steps that are recorded once and started by one call: they compute what others do.
#include <catch2/catch.hpp>

#include "cuda/device/support.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

// The device, but it records nothing.
class Unrecorded final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  std::unique_ptr<Replay> record(const std::function<void()>&) override { return nullptr; }
};

constexpr int64_t steps = 7;

}  // namespace

TEST_CASE("cuda: recorded steps give the bits of those that are not") {
  const auto recorded = three_steps(
      "simclr", [](int rank) { return cuda_device(rank); }, small_images, steps);
  const auto started = three_steps(
      "simclr", [](int rank) { return std::make_unique<Unrecorded>(cuda_device(rank)); },
      small_images, steps);
  CHECK(recorded.losses.size() == steps);
  CHECK(recorded == started);
}

TEST_CASE("cuda: an observed step is timed kernel by kernel and computes what others do") {
  const auto self = self_communicator();
  SmallExperiment observed("simclr", cuda_device(), *self, small_images);
  SmallExperiment other("simclr", cuda_device(), *self, small_images);
  for (SmallExperiment* each : {&observed, &other})
    each->trainer().prepare(each->batch(0, rows).fields(), {rows});
  const auto stopwatch = observed.device().make_stopwatch();
  size_t kernels = 0;
  observed.trainer().observe([&](const Operation&, const Call&) {
    ++kernels;
    stopwatch->mark();
  });
  for (int64_t step = 0; step < 5; ++step) {
    stopwatch->mark();
    kernels = 0;
    CHECK(train_step(observed, 0, 1, step) == train_step(other, 0, 1, step));
    const Plan& plan = observed.trainer().executor().plan();
    CHECK(kernels == plan.steps.size() + plan.changes.size());
    const std::vector<double> laps = stopwatch->laps();
    CHECK(laps.size() == kernels);
    for (const double seconds : laps) CHECK(seconds > 0);
  }
}
