// Every objective of the list, by the same tests.
#include "objectives/list.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>

#include "support/experiment.h"
#include "support/frozen.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

// With `frozen` values of what stop_gradient() gives; where there are none yet, they are kept
// there.
double loss_of(SmallExperiment& experiment, const Fields& fields, int64_t rows, Communicator& self,
               std::optional<std::vector<HostTensor>>& frozen) {
  ForwardContext forward{
      .communicator = self, .compute = DType::f64, .parameters = DType::f64, .rows = {rows}};
  const Tensor loss = experiment.objective().loss(fields, forward);
  Executor executor(experiment.device());
  if (!frozen) {
    std::vector<Tensor> wanted = stopped(loss);
    const size_t count = wanted.size();
    wanted.push_back(loss);
    executor.run(wanted);
    frozen.emplace();
    for (size_t i = 0; i < count; ++i) frozen->push_back(executor.output(i));
    return executor.scalar(count);
  }
  executor.run({with_frozen(loss, *frozen)});
  return executor.scalar(0);
}

}  // namespace

TEST_CASE("the gradient of every objective is that of its loss by finite differences") {
  const auto self = self_communicator();
  for (const std::string& name : every_cell()) {
    CAPTURE(name);
    SmallExperiment experiment(name, "reference", 1, *self, {.size = 8, .channels = 2, .width = 1});
    const SmallBatch batch = experiment.batch(0, 5);
    experiment.trainer().prepare(batch.fields(), {5});
    const auto gradients = experiment.trainer().gradients(batch.fields(), {5});
    REQUIRE(gradients.size() == experiment.trainer().parameters().size());
    // Along one random direction over all parameters at once: the derivative of the loss is the sum
    // of products with the gradients. ReLU's kinks ask for a short step.
    constexpr double h = 1e-7;
    double predicted = 0;
    std::map<std::string, std::vector<double>> start;
    const auto shift = [&](double by) {
      for (State* state : experiment.trainer().parameters()) {
        const Draws draws(3, Purpose::test, hash_name(state->name()));
        const auto& from = start[state->name()];
        state->fill([&](int64_t i) {
          return from[static_cast<size_t>(i)] + by * draws.normal(static_cast<uint32_t>(i));
        });
      }
    };
    for (State* state : experiment.trainer().parameters()) {
      start[state->name()] = state->values();
      const Draws draws(3, Purpose::test, hash_name(state->name()));
      const auto gradient = gradients.at(state->name()).as<double>();
      for (size_t i = 0; i < gradient.size(); ++i)
        predicted += gradient[i] * draws.normal(static_cast<uint32_t>(i));
    }
    std::optional<std::vector<HostTensor>> frozen;
    loss_of(experiment, batch.fields(), 5, *self, frozen);
    shift(h);
    const double up = loss_of(experiment, batch.fields(), 5, *self, frozen);
    shift(-h);
    const double down = loss_of(experiment, batch.fields(), 5, *self, frozen);
    CHECK((up - down) / (2 * h) == Approx(predicted).epsilon(1e-5));
    CHECK(predicted != Approx(0).margin(1e-6));
  }
}

TEST_CASE("every objective lowers its loss on the batch it is trained on") {
  const auto self = self_communicator();
  for (const std::string& name : every_cell()) {
    CAPTURE(name);
    SmallExperiment experiment(name, "reference", 1, *self, {.size = 8, .channels = 1, .width = 2});
    const SmallBatch batch = experiment.batch(0, 8);
    experiment.trainer().prepare(batch.fields(), {8});
    const double first = experiment.trainer().step(batch.fields(), {8}, 0, 0.02, 0).loss;
    double last = first;
    for (int64_t step = 1; step < 40; ++step) {
      last = experiment.trainer().step(batch.fields(), {8}, step, 0.02, 0).loss;
    }
    CHECK(last < 0.95 * first);
    CHECK(experiment.trainer().executor().plan_count() == 1);
  }
}

TEST_CASE("a teacher follows its student and takes no gradient") {
  const auto self = self_communicator();
  SmallExperiment experiment("byol", "reference", 1, *self, {.size = 8, .channels = 1, .width = 1});
  const SmallBatch batch = experiment.batch(0, 4);
  experiment.trainer().prepare(batch.fields(), {4});
  for (const State* parameter : experiment.trainer().parameters()) {
    CHECK_FALSE(parameter->name().starts_with("teacher."));
  }
  const auto student = [&] { return experiment.store().find("encoder.conv1.weight")->values(); };
  const auto teacher = [&] {
    return experiment.store().find("teacher.encoder.conv1.weight")->values();
  };
  const auto before = teacher();
  CHECK(before == student());
  experiment.trainer().step(batch.fields(), {4}, 0, 0.1, 0);
  const auto changed = student();
  for (size_t i = 0; i < before.size(); ++i) {
    // Momentum 0.99 at the start.
    CHECK(teacher()[i] == Approx(0.99 * before[i] + 0.01 * changed[i]).epsilon(1e-12));
  }
  CHECK(changed != before);
}

TEST_CASE("a student's blocks are left out at random and its teacher's are not") {
  const auto self = self_communicator();
  SmallExperiment experiment("byol", "reference", 1, *self, {.encoder = small_vit});
  const SmallBatch batch = experiment.batch(0, 4);
  ForwardContext forward{.communicator = *self,
                         .compute = DType::f64,
                         .parameters = DType::f64,
                         .rows = {4},
                         .keys = batch.fields().keys()};
  experiment.objective().loss(batch.fields(), forward);
  CHECK(forward.drawn.size() == 4);  // of two views and the two branches of one block
}

TEST_CASE("every objective takes views of another size than the samples") {
  const auto self = self_communicator();
  for (const std::string& name : every_cell()) {
    const bool images = Cell(name).kind == "image";
    if (Cell(name).kind == "vector") continue;
    for (const int64_t view : {4, 8, 24}) {
      for (const std::string& lines : {std::string(), std::string("decode = \"features\"\n")}) {
        if (!lines.empty() && Cell(name).objective != "inpaint") continue;
        for (const std::string& encoder :
             {std::string(), std::string("name = \"vit_tiny\"\npatch = 4\ndepth = 1\n")}) {
          if (!images && !encoder.empty()) continue;
          CAPTURE(name, view, lines, encoder);
          SmallExperiment experiment(
              name, "cpu", 1, *self,
              {.size = 16, .width = 2, .encoder = encoder, .objective = lines, .view = view});
          const SmallBatch batch = experiment.batch(0, 3);
          experiment.trainer().prepare(batch.fields(), {3});
          CHECK(std::isfinite(experiment.trainer().step(batch.fields(), {3}, 0, 0.01, 0).loss));
        }
      }
    }
  }
}

TEST_CASE("CLIP scales its logits by at most 100 and still learns the scale") {
  const auto self = self_communicator();
  SmallExperiment experiment("clip", "reference", 1, *self, {.size = 8, .channels = 1, .width = 1});
  const SmallBatch batch = experiment.batch(0, 6);
  experiment.trainer().prepare(batch.fields(), {6});
  State& scale = *experiment.store().find("logit_scale");
  const auto at = [&](double logarithm) {
    scale.fill([&](int64_t) { return logarithm; });
    std::optional<std::vector<HostTensor>> none;
    const double loss = loss_of(experiment, batch.fields(), 6, *self, none);
    const auto gradients = experiment.trainer().gradients(batch.fields(), {6});
    return std::pair(loss, gradients.at("logit_scale").as<double>()[0]);
  };
  const auto [loss, gradient] = at(std::log(100));
  CHECK(std::abs(gradient) > 1e-3);
  for (const double beyond : {std::log(100) + 1, std::log(100) + 7}) {
    CHECK(at(beyond).first == Approx(loss).epsilon(1e-12));
    CHECK(at(beyond).second == Approx(gradient).epsilon(1e-12));
  }
  CHECK(at(std::log(99)).first != Approx(loss).epsilon(1e-6));
}
