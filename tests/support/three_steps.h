// The first steps of an objective on ranks of any device, and what they leave: what devices are
// compared by.
#pragma once

#include "support/experiment.h"
#include "support/thread_communicators.h"

namespace lacuna::testing {

constexpr int64_t rows = 4;  // of a rank
const SmallImages small_images = {.size = 8, .channels = 1, .width = 4};

inline std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const ObjectiveEntry& entry : objectives()) names.emplace_back(entry.name);
  return names;
}

inline double train_step(SmallExperiment& experiment, int rank, int ranks, int64_t number) {
  const int64_t first = (number * ranks + rank) * rows;
  const std::vector<int64_t> held(static_cast<size_t>(ranks), rows);
  return experiment.trainer()
      .step(experiment.batch(first, first + rows).fields(), held, number, 0.05, 0.1)
      .loss;
}

// Losses of some steps on two ranks, and what the weights then are.
struct Trace {
  std::vector<double> losses;
  std::vector<std::vector<double>> state;
  friend bool operator==(const Trace&, const Trace&) = default;
};

// `make(rank)` makes a rank's device, in the rank's thread.
inline Trace three_steps(const std::string& objective,
                         const std::function<std::unique_ptr<Device>(int rank)>& make,
                         const SmallImages& images = small_images, int64_t steps = 3) {
  Trace trace;
  on_ranks(2, [&](Communicator& communicator) {
    SmallExperiment experiment(objective, make(communicator.rank()), communicator, images);
    experiment.trainer().prepare(experiment.batch(0, rows).fields(), {rows, rows});
    for (int64_t step = 0; step < steps; ++step) {
      const double loss = train_step(experiment, communicator.rank(), 2, step);
      if (communicator.rank() == 0) trace.losses.push_back(loss);
    }
    if (communicator.rank() != 0) return;
    for (const State& state : experiment.store().all()) trace.state.push_back(state.values());
  });
  return trace;
}

}  // namespace lacuna::testing
