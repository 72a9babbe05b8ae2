// Steps that are recorded once and started by one call: they compute what others do.
#include <array>
#include <catch2/catch.hpp>
#include <numeric>

#include "cuda/device/support.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

// The device, but it records nothing.
class Unrecorded final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  std::unique_ptr<Replay> capture(const std::function<void()>&) override { return nullptr; }
};

// Counts what is recorded.
class Counted final : public ForwardingDevice {
 public:
  Counted(std::unique_ptr<Device> to, int& count)
      : ForwardingDevice(std::move(to)), count_(count) {}
  std::unique_ptr<Replay> capture(const std::function<void()>& work) override {
    ++count_;
    return ForwardingDevice::capture(work);
  }

 private:
  int& count_;
};

constexpr int64_t steps = 7;

// Losses of steps on three ranks, of which the first always holds 3 of 10 rows and the others hold
// them in turn.
template <typename Make>
std::vector<double> with_rows_that_wander(const Make& make, size_t& plans) {
  const std::vector<std::vector<int64_t>> divisions = {{3, 5, 2}, {3, 2, 5}, {3, 4, 3}};
  std::vector<double> losses;
  on_ranks(3, [&](Communicator& communicator) {
    const int rank = communicator.rank();
    SmallExperiment experiment("simclr on vector", make(rank), communicator,
                               {.size = 8, .width = 1});
    for (int64_t step = 0; step < 12; ++step) {
      const std::vector<int64_t>& held = divisions[static_cast<size_t>(step) % divisions.size()];
      const int64_t first =
          10 * step + std::accumulate(held.begin(), held.begin() + rank, int64_t{0});
      const SmallBatch batch = experiment.batch(first, first + held[static_cast<size_t>(rank)]);
      if (step == 0) experiment.trainer().prepare(batch.fields(), held);
      const double loss = experiment.trainer().step(batch.fields(), held, step, 0.05, 0.1).loss;
      if (rank == 0) losses.push_back(loss);
    }
    if (rank == 0) plans = experiment.trainer().executor().plan_count();
  });
  return losses;
}

}  // namespace

TEST_CASE("cuda: recorded steps follow the rows that other ranks hold") {
  size_t plans = 0;
  std::array<int, 3> recordings{};  // by rank
  const auto recorded = with_rows_that_wander(
      [&](int rank) {
        return std::make_unique<Counted>(cuda_device(rank), recordings[static_cast<size_t>(rank)]);
      },
      plans);
  CHECK(plans == 1);
  CHECK(recordings[0] >= 3);  // one at least for each division
  const auto started = with_rows_that_wander(
      [](int rank) { return std::make_unique<Unrecorded>(cuda_device(rank)); }, plans);
  CHECK(plans == 1);
  CHECK(recorded == started);
}

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
