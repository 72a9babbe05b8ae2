// Gradient accumulation: a step in micro-batches against the same step made of their mean by hand.
#include <catch2/catch.hpp>

#include "nn/loss.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
#include "ops/squared_error.h"
#include "support/experiment.h"
#include "support/thread_communicators.h"

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

  StepOptions options;
  options.micro_batches = 2;
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
  StepOptions options;
  options.micro_batches = 2;
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

namespace {

// A weight [3] against the positions of [n, 3] that a mask shows; what is done with its terms.
struct MaskedMean {
  using Loss = std::function<Tensor(const LossTerm& term, ForwardContext& forward)>;

  MaskedMean(int64_t micro_batches, Communicator& communicator, const std::vector<int64_t>& rows,
             const Loss& of, double clip = 0, const char* device_name = "reference")
      : device(make_device(device_name, 1)),
        x(numbers(false)),
        mask(numbers(true)),
        store(*device),
        weight(store.create("weight", x.dtype(), Shape{3}, Role::parameter)),
        trainer(*device, communicator, store,
                [this, of](const Fields& fields, ForwardContext& forward) {
                  const Tensor& target = fields["x"];
                  const Tensor weights = add_to_each(scale(target, 0), weight.tensor());
                  const Shape positions{target.shape()[0], 3, 1};
                  const auto flat = [&](const Tensor& t) { return reshape(t, positions); };
                  return of({squared_error(flat(weights), flat(target), 1, flat(fields["mask"])),
                             squared_norm({fields["mask"]})},
                            forward);
                },
                make_optimizer(sgd()),
                {.compute = x.dtype(), .clip = clip, .micro_batches = micro_batches, .plan = {}}) {
    trainer.prepare(fields(0, rows[static_cast<size_t>(communicator.rank())]), rows);
  }

  static Configuration sgd() {
    Schema schema;
    schema.add(optimizer_keys());
    return Configuration::from_text("", schema, "optimizer",
                                    {"optimizer.momentum=0", "optimizer.weight_decay=0"});
  }
  // Rows [first, first + count) of 8, of which the first two show nothing and the last two all.
  Fields fields(int64_t first, int64_t count) {
    Fields made;
    for (const auto& [name, all] : {std::pair("x", &x), std::pair("mask", &mask)}) {
      const auto* data = static_cast<const std::byte*>(all->data());
      const size_t before = static_cast<size_t>(3 * first) * size_of(all->dtype());
      made.add(name, host_leaf(name, all->dtype(), {count, 3}, data + before));
    }
    return made;
  }
  HostTensor numbers(bool is_mask) const {
    std::vector<double> made(24);
    const Draws draws(6, Purpose::test, 0);
    for (size_t i = 0; i < 24; ++i) {
      const bool shown = i % 3 < i / 6;
      made[i] = is_mask ? (shown ? 1 : 0) : draws.normal(static_cast<uint32_t>(i));
    }
    return test::ops::from_doubles(device->parameter_dtype(), Shape{8, 3}, made);
  }

  std::unique_ptr<Device> device;
  HostTensor x, mask;
  StateStore store;
  State& weight;
  Trainer trainer;
};

Tensor mean_loss(const LossTerm& term, ForwardContext& forward) {
  forward.metrics.emplace_back("mean", share_of_means({term}, forward));
  return loss_of_means({term, {term.numerator, term.denominator, forward.value("w", 0.5)}},
                       forward);
}

}  // namespace

TEST_CASE("a mean over counts is the same in parts of unequal counts as at once") {
  const auto self = self_communicator();
  for (const double clip : {0.0, 0.1}) {
    MaskedMean whole(1, *self, {8}, mean_loss, clip);
    MaskedMean parted(4, *self, {2}, mean_loss, clip);
    for (int64_t step = 0; step < 2; ++step) {
      const StepResult expected = whole.trainer.step(whole.fields(0, 8), {8}, step, 0.3, 0);
      for (int64_t micro_batch = 0; micro_batch < 3; ++micro_batch)
        parted.trainer.accumulate(parted.fields(2 * micro_batch, 2), {2}, step, 0);
      const StepResult actual = parted.trainer.step(parted.fields(6, 2), {2}, step, 0.3, 0);
      CHECK(actual.loss == Approx(expected.loss).epsilon(1e-13));
      CHECK(actual.gradient_norm == Approx(expected.gradient_norm).epsilon(1e-13));
      for (size_t i = 0; i < 3; ++i)
        CHECK(parted.weight.values()[i] == Approx(whole.weight.values()[i]).epsilon(1e-13));
      CHECK(whole.weight.values()[0] != 0);
    }
  }
}

TEST_CASE("a mean over counts in parts on the cpu device agrees with the reference", "[cpu]") {
  const auto self = self_communicator();
  std::vector<std::vector<double>> weights;
  for (const char* name : {"reference", "cpu"}) {
    MaskedMean parted(2, *self, {4}, mean_loss, 0.1, name);
    parted.trainer.accumulate(parted.fields(0, 4), {4}, 0, 0);
    parted.trainer.step(parted.fields(4, 4), {4}, 0, 0.3, 0);
    weights.push_back(parted.weight.values());
  }
  CHECK(test::ops::relative_error(weights[1], weights[0]) < 1e-6);
}

TEST_CASE("a mean over counts in parts is the same on ranks of which one has no rows", "[ranks]") {
  const auto self = self_communicator();
  MaskedMean alone(1, *self, {8}, mean_loss);
  const double loss = alone.trainer.step(alone.fields(0, 8), {8}, 0, 0.3, 0).loss;
  std::vector<double> losses(2);
  std::vector<std::vector<double>> weights(2);
  on_ranks(2, [&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    const int64_t own = rank == 0 ? 4 : 0;
    MaskedMean parted(2, communicator, {4, 0}, mean_loss);
    parted.trainer.accumulate(parted.fields(0, own), {4, 0}, 0, 0);
    losses[rank] = parted.trainer.step(parted.fields(4, own), {4, 0}, 0, 0.3, 0).loss;
    weights[rank] = parted.weight.values();
  });
  for (size_t rank = 0; rank < 2; ++rank) {
    CHECK(losses[rank] == Approx(loss).epsilon(1e-13));
    for (size_t i = 0; i < 3; ++i)
      CHECK(weights[rank][i] == Approx(alone.weight.values()[i]).epsilon(1e-13));
  }
}

TEST_CASE("a loss that cannot be divided once at the end is not taken in parts") {
  const auto self = self_communicator();
  const auto prepared = [&](const MaskedMean::Loss& of) { MaskedMean(2, *self, {4}, of); };
  const auto refused = Catch::Contains("several counts over the whole batch");
  CHECK_NOTHROW(prepared(mean_loss));
  // Divided by each micro-batch's own count; by two counts; a micro-batch of a loss.
  CHECK_THROWS_WITH(prepared([](const LossTerm& term, ForwardContext& forward) {
                      return share_of_means({term}, forward);
                    }),
                    refused);
  CHECK_THROWS_WITH(prepared([](const LossTerm& term, ForwardContext& forward) {
                      const Tensor other = forward.value("count", 2);
                      return loss_of_means({term, {term.numerator, other}}, forward);
                    }),
                    refused);
  CHECK_THROWS_WITH(prepared([](const LossTerm& term, ForwardContext& forward) {
                      return add(loss_of_means({term}, forward), term.numerator);
                    }),
                    refused);
}
