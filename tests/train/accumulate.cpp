// Gradient accumulation: a step in parts against the same step made of their mean by hand.
#include <catch2/catch.hpp>

#include "nn/loss.h"
#include "ops/elementwise.h"
#include "ops/squared_error.h"
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

TEST_CASE("a loss that is divided by counts of the batch is not taken in parts") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Schema schema;
  schema.add(optimizer_keys());
  const Configuration sgd = Configuration::from_text("", schema, "optimizer");
  const HostTensor ones(DType::f64, Shape{2, 3});
  for (const int64_t parts : {1, 2}) {
    StateStore store(*device);
    State& weight = store.create("weight", DType::f64, Shape{2, 3}, Role::parameter);
    const auto loss = [&](const Fields& fields, Recording& recording) {
      const Tensor sum = squared_error(weight.tensor(), fields["mask"], 1);
      return share_of_means({{sum, squared_norm({fields["mask"]})}}, recording);
    };
    TrainerOptions options;
    options.parts = parts;
    options.compute = DType::f64;
    Trainer trainer(*device, *self, store, loss, make_optimizer(sgd), options);
    Fields fields;
    fields.add("mask", host_leaf("mask", ones));
    if (parts == 1) {
      CHECK_NOTHROW(trainer.prepare(fields, {2}));
      continue;
    }
    CHECK_THROWS_WITH(trainer.prepare(fields, {2}),
                      Catch::Contains("counts over the whole batch") &&
                          Catch::Contains("set train.accumulate to 1"));
  }
}
