// Gradient accumulation: a step in parts against the same step made of their mean by hand.
#include <catch2/catch.hpp>

#include "support/experiment.h"

using namespace lacuna;
using namespace lacuna::testing;

TEST_CASE("a step in parts uses the mean of the gradients of its parts") {
  const auto self = self_communicator();
  const SmallImages images{.size = 8, .channels = 1, .width = 1};
  const std::string plain = "[optimizer]\nname = \"sgd\"\nmomentum = 0.0\nweight_decay = 0.0\n";
  SmallExperiment whole("rotation", "reference", 1, *self, images, {}, plain);
  const SmallBatch first = whole.batch(0, 4);
  const SmallBatch second = whole.batch(4, 8);
  whole.trainer().prepare(first.fields(), {4});
  const auto a = whole.trainer().gradients(first.fields(), {4});
  const auto b = whole.trainer().gradients(second.fields(), {4});

  TrainerOptions options;
  options.parts = 2;
  SmallExperiment parted("rotation", "reference", 1, *self, images, options, plain);
  parted.trainer().prepare(first.fields(), {4});
  std::map<std::string, std::vector<double>> before;
  for (const State* state : parted.trainer().parameters()) before[state->name()] = state->values();
  constexpr double rate = 0.5;
  parted.trainer().accumulate(first.fields(), {4}, 0, 0);
  const StepResult result = parted.trainer().step(second.fields(), {4}, 0, rate, 0);
  CHECK(result.metrics.at("rotation_accuracy") >= 0);
  for (const State* state : parted.trainer().parameters()) {
    CAPTURE(state->name());
    const auto after = state->values();
    for (size_t i = 0; i < after.size(); ++i) {
      const double mean =
          (a.at(state->name()).as<double>()[i] + b.at(state->name()).as<double>()[i]) / 2;
      CHECK(before[state->name()][i] - after[i] == Approx(rate * mean).epsilon(1e-9).margin(1e-14));
    }
  }
  // The next step begins anew: its gradients are those at the new weights, without the old sums.
  std::map<std::string, std::vector<double>> middle;
  for (const State* state : parted.trainer().parameters()) {
    middle[state->name()] = state->values();
    whole.store().find(state->name())->write(state->data());
  }
  const auto c = whole.trainer().gradients(first.fields(), {4});
  const auto d = whole.trainer().gradients(second.fields(), {4});
  parted.trainer().accumulate(first.fields(), {4}, 0, 0);
  parted.trainer().step(second.fields(), {4}, 1, rate, 0);
  for (const State* state : parted.trainer().parameters()) {
    CAPTURE(state->name());
    const auto after = state->values();
    for (size_t i = 0; i < after.size(); ++i) {
      const double mean =
          (c.at(state->name()).as<double>()[i] + d.at(state->name()).as<double>()[i]) / 2;
      CHECK(middle[state->name()][i] - after[i] == Approx(rate * mean).epsilon(1e-9).margin(1e-14));
    }
  }
}

TEST_CASE("a teacher moves once a step however many parts it has") {
  const auto self = self_communicator();
  const SmallImages images{.size = 8, .channels = 1, .width = 1};
  TrainerOptions options;
  options.parts = 2;
  SmallExperiment experiment("byol", "reference", 1, *self, images, options);
  const SmallBatch batch = experiment.batch(0, 4);
  experiment.trainer().prepare(batch.fields(), {4});
  const auto teacher = [&] {
    return experiment.store().find("teacher.encoder.conv1.weight")->values();
  };
  const auto before = teacher();
  experiment.trainer().accumulate(batch.fields(), {4}, 0, 0);
  CHECK(teacher() == before);
  experiment.trainer().step(batch.fields(), {4}, 0, 0.1, 0);
  const auto student = experiment.store().find("encoder.conv1.weight")->values();
  for (size_t i = 0; i < before.size(); ++i) {
    CHECK(teacher()[i] == Approx(0.99 * before[i] + 0.01 * student[i]).epsilon(1e-12));
  }
}
