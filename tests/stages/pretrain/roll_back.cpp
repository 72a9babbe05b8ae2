#include "stages/pretrain/roll_back.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "base/log.h"
#include "run/stored_state.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t rows = 4;

// As a run's next checkpoint.
void keep(SmallExperiment& from, const std::filesystem::path& run, int64_t step) {
  const auto self = self_communicator();
  CheckpointWriter writer(run, {.last = 9, .best = false}, step - 1);
  CheckpointInfo info;
  info.step = step;
  info.position = step * rows;
  writer.start(info, StoredState(from.store(), *self, true).tensors());
  writer.wait();
}

// A small training that writes a checkpoint every second step, as pretrain does.
struct Training {
  Training() : experiment("rotation", "cpu", 1, *self, {.size = 8}) {
    experiment.trainer().prepare(experiment.batch(0, rows).fields(), {rows});
  }
  double step(int64_t number) {
    const SmallBatch batch = experiment.batch(number * rows, (number + 1) * rows);
    return experiment.trainer().step(batch.fields(), {rows}, number, 0.05, 0).loss;
  }
  // One element of the weights, as a flipped bit of the memory might leave it.
  void spoil(double value) {
    State& weight = *experiment.store().find("encoder.conv1.weight");
    std::vector<double> values = weight.values();
    values[5] = value;
    weight.fill([&](int64_t i) { return values[static_cast<size_t>(i)]; });
  }
  std::vector<std::vector<double>> state() {
    std::vector<std::vector<double>> all;
    for (const State& each : experiment.store().all()) all.push_back(each.values());
    return all;
  }
  std::unique_ptr<Communicator> self = self_communicator();
  SmallExperiment experiment;
};

struct Run {
  Training training;
  TemporaryFolder folder;
  Log silent{1, false, false, 1};
  StageContext context{*training.self, silent, nullptr};
  std::vector<std::pair<int64_t, int64_t>> starts;

  // Until step 8; `before(step)` comes before each.
  void operator()(bool rolls_back, const std::function<void(int64_t)>& before) {
    RollBack roll_back(folder.path(), rolls_back, training.experiment.store(),
                       training.experiment.trainer(), context);
    roll_back.run(0, [&](int64_t checkpoint, int64_t first) {
      starts.emplace_back(checkpoint, first);
      for (int64_t step = first; step < 8; ++step) {
        before(step);
        if (!std::isfinite(training.step(step)))
          throw NonFiniteLoss(step, "the loss is nan", "do this");
        if (step % 2 == 1) keep(training.experiment, folder.path(), step + 1);
      }
    });
  }
};

using Starts = std::vector<std::pair<int64_t, int64_t>>;

}  // namespace

TEST_CASE("roll back: to the last checkpoint, and on behind the bad step") {
  Run run;
  run(true, [&, spoiled = false](int64_t step) mutable {
    if (step == 5 && !std::exchange(spoiled, true)) run.training.spoil(std::nan(""));
  });
  CHECK(run.starts == Starts{{0, 0}, {4, 6}});
  Training expected;
  for (const int64_t step : {0, 1, 2, 3, 6, 7}) expected.step(step);
  CHECK(run.training.state() == expected.state());
}

TEST_CASE("roll back: past a checkpoint that holds what is no number") {
  Run run;
  // In a place that no loss shows at once: the gradient of the step that was saved.
  run(true, [&, spoiled = false](int64_t step) mutable {
    if (step != 4 || std::exchange(spoiled, true)) return;
    run.training.experiment.store()
        .find("optimizer.momentum.encoder.conv1.weight")
        ->fill([](int64_t) { return std::nan(""); });
    keep(run.training.experiment, run.folder.path(), 5);
  });
  CHECK(run.starts == Starts{{0, 0}, {4, 6}});
  CHECK(std::filesystem::exists(run.folder.path() / "checkpoints" / "unusable-step-000000005"));
}

TEST_CASE("roll back: what is bad again and again, or from the start, ends the run") {
  Run always;
  CHECK_THROWS_AS(always(true,
                         [&](int64_t step) {
                           if (step >= 3) always.training.spoil(std::nan(""));
                         }),
                  NonFiniteLoss);
  CHECK(always.starts == Starts{{0, 0}, {2, 4}, {2, 5}});
  Run at_once;
  CHECK_THROWS_AS(at_once(true, [&](int64_t) { at_once.training.spoil(std::nan("")); }),
                  NonFiniteLoss);
  CHECK(at_once.starts == Starts{{0, 0}});
  Run unwanted;
  CHECK_THROWS_AS(unwanted(false,
                           [&](int64_t step) {
                             if (step == 5) unwanted.training.spoil(std::nan(""));
                           }),
                  NonFiniteLoss);
  CHECK(unwanted.starts == Starts{{0, 0}});
}
