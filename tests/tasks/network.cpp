#include "tasks/network.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "backend/list.h"
#include "encoders/resnet.h"
#include "encoders/vit.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "support/thread_communicators.h"
#include "tasks/support.h"
#include "train/optimizer.h"
#include "train/trainer.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t samples = 8;

HostTensor normal(const Shape& shape, uint64_t seed) {
  HostTensor made(DType::f64, shape);
  const Draws draws(seed, Purpose::test, 0);
  uint32_t k = 0;
  for (double& each : made.as<double>()) each = draws.normal(k++);
  return made;
}

// A batch that is a whole data set of 8 images with classes or values.
struct Data {
  HostTensor images = normal({samples, 8, 8, 1}, 1);
  Targets classes{
      .type = TargetType::classes, .classes = {0, 0, 0, 0, 0, 1, 1, 2}, .values = {}, .width = 3};
  Targets values{
      .type = TargetType::values,
      .classes = {},
      .values = {1e3, 3, 1e3 + 1, 2, 1e3 - 2, 9, 1e3, 3, 1e3, 1, 1e3 + 5, 2, 1e3, 4, 1e3, 0},
      .width = 2};
  std::vector<SampleKey> keys;

  Data() {
    for (uint64_t i = 0; i < samples; ++i) keys.push_back({.seed = 1, .epoch = 0, .sample = i});
  }
  Fields fields(int64_t first = 0, int64_t count = samples) const {
    Fields made;
    made.add("view0", host_leaf("view0", DType::f64, {count, 8, 8, 1},
                                images.as<double>().data() + 64 * first));
    made.add("label", host_leaf("label", DType::i64, {count}, classes.classes.data() + first));
    made.set_keys(std::span(keys).subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
    return made;
  }
};

std::unique_ptr<Encoder> small_resnet(Scope scope) {
  ResNetOptions options;
  options.width = 2;
  return make_resnet(options, 2, 1, scope);
}

struct LossAndGradient {
  double loss;
  std::vector<double> gradient;  // by the outputs
};

// Of a task, in double.
LossAndGradient loss_and_gradient(const NetworkTask& task, const Data& data,
                                  const HostTensor& outputs, const Targets* marks = nullptr) {
  const auto device = make_device("reference", 1);
  const auto alone = self_communicator();
  ForwardContext forward{.communicator = *alone,
                         .compute = DType::f64,
                         .parameters = DType::f64,
                         .rows = {samples},
                         .keys = data.keys};
  const Tensor leaf = host_leaf("outputs", outputs);
  const double one = 1;
  Fields fields = data.fields();
  if (marks != nullptr) {
    fields = Fields();
    fields.add("label",
               host_leaf("label", DType::i64, {samples, marks->width}, marks->classes.data()));
  }
  const Tensor loss = task.loss(leaf, fields, forward);
  Executor executor(*device);
  const Tensor by = differentiate(loss, host_leaf("one", DType::f64, Shape{}, &one), {leaf})[0];
  executor.run({loss, by});
  return {executor.scalar(0), doubles_of(executor.output(1))};
}

Configuration training() {
  Schema schema;
  schema.add(optimizer_keys());
  return Configuration::from_text("", schema, "optimizer",
                                  {"optimizer.momentum=0", "optimizer.weight_decay=0"});
}

// Gradients of all parameters, by name, where each rank has so many samples.
std::map<std::string, std::vector<double>> gradients(const Configuration& configuration,
                                                     const Targets& targets,
                                                     const std::vector<int64_t>& rows,
                                                     Communicator& communicator) {
  const Data data;
  const auto task = make_network_task(configuration, targets);
  const auto device = make_device("reference", 1);
  StateStore store(*device);
  const FineTunedNetwork network(small_resnet, targets.width, Scope(store, 1));
  StepOptions options;
  options.compute = DType::f64;
  Trainer trainer(
      *device, communicator, store,
      [&](const Fields& fields, ForwardContext& forward) {
        return task->loss(network(fields.view(0), forward), fields, forward);
      },
      make_optimizer(training()), options);
  int64_t first = 0;
  for (int rank = 0; rank < communicator.rank(); ++rank) first += rows[static_cast<size_t>(rank)];
  const Fields fields = data.fields(first, rows[static_cast<size_t>(communicator.rank())]);
  trainer.prepare(fields, rows);
  std::map<std::string, std::vector<double>> all;
  for (const auto& [name, gradient] : trainer.gradients(fields, rows))
    all[name] = doubles_of(gradient);
  return all;
}

// How far each parameter goes in a step of SGD, by name.
std::map<std::string, double> steps(const EncoderFactory& make_encoder, bool frozen, double decay) {
  const Data data;
  const Configuration configuration = task_configuration("classify");
  const auto task = make_network_task(configuration, data.classes);
  const auto device = make_device("reference", 1);
  const auto alone = self_communicator();
  StateStore store(*device);
  const FineTunedNetwork network(make_encoder, 3, Scope(store, 1), frozen);
  StepOptions options;
  options.compute = DType::f64;
  Trainer trainer(
      *device, *alone, store,
      [&](const Fields& fields, ForwardContext& forward) {
        return task->loss(network(fields.view(0), forward), fields, forward);
      },
      make_optimizer(training()), options);
  if (decay != 1)
    trainer.set_rate_factor(
        [&](const State& parameter) { return network.rate_factor(parameter, decay); });
  trainer.prepare(data.fields(), {samples});
  std::map<std::string, std::vector<double>> before;
  for (const State& state : store.all()) before[state.name()] = state.values();
  trainer.step(data.fields(), {samples}, 0, 0.1, 0);
  std::map<std::string, double> moved;
  for (const State& state : store.all()) {
    if (state.name().starts_with("optimizer.")) continue;
    double squares = 0;
    const std::vector<double> after = state.values();
    for (size_t i = 0; i < after.size(); ++i)
      squares += std::pow(after[i] - before[state.name()][i], 2);
    moved[state.name()] = std::sqrt(squares);
  }
  return moved;
}

}  // namespace

TEST_CASE("tasks: with class weights loss and gradient are the weighted cross entropy's") {
  const Data data;
  const HostTensor logits = normal({samples, 3}, 2);
  const std::vector<double> numbers = doubles_of(logits);
  const auto of = [&](const char* weights) {
    const Configuration configuration =
        task_configuration("classify", {std::string("task.class_weights=") + weights});
    return loss_and_gradient(*make_network_task(configuration, data.classes), data, logits);
  };
  // Balanced: 8 / (3 classes x samples of the class).
  const double count[3] = {5, 2, 1};
  for (const bool balanced : {false, true}) {
    const auto [loss, found] = of(balanced ? "balanced" : "none");
    double expected_loss = 0;
    for (size_t i = 0; i < samples; ++i) {
      const auto label = static_cast<size_t>(data.classes.classes[i]);
      const double weight = balanced ? 8.0 / (3 * count[label]) : 1;
      double sum = 0;
      for (size_t c = 0; c < 3; ++c) sum += std::exp(numbers[3 * i + c]);
      expected_loss += weight * (std::log(sum) - numbers[3 * i + label]) / 8;
      for (size_t c = 0; c < 3; ++c) {
        const double softmax = std::exp(numbers[3 * i + c]) / sum;
        const double expected = weight * (softmax - (c == label ? 1 : 0)) / 8;
        CHECK(found[3 * i + c] == Approx(expected).epsilon(1e-10));
      }
    }
    CHECK(loss == Approx(expected_loss).epsilon(1e-12));
  }
}

TEST_CASE("tasks: regression learns standardised values and says them in their units") {
  const Data data;
  const Configuration configuration = task_configuration("regress");
  const auto task = make_network_task(configuration, data.values);
  double mean[2] = {0, 0}, deviation[2] = {0, 0};
  for (size_t k = 0; k < 16; ++k) mean[k % 2] += data.values.values[k] / 8;
  for (size_t k = 0; k < 16; ++k)
    deviation[k % 2] += std::pow(data.values.values[k] - mean[k % 2], 2) / 8;
  const HostTensor outputs = normal({samples, 2}, 3);
  const std::vector<double> y = doubles_of(outputs);
  const std::vector<double> found = loss_and_gradient(*task, data, outputs).gradient;
  const Predicted said = task->predicted(outputs);
  for (size_t k = 0; k < 16; ++k) {
    const double scale = std::sqrt(deviation[k % 2]);
    const double target = (data.values.values[k] - mean[k % 2]) / scale;
    CHECK(found[k] == Approx(2 * (y[k] - target) / 16).epsilon(1e-10));
    CHECK(said.numbers[k] == Approx(mean[k % 2] + scale * y[k]).epsilon(1e-12));
  }
  const NamedTensors kept = task->tensors();
  const auto restored = entry_of("regress").make_network(
      {.configuration = configuration, .targets = nullptr, .outputs = 2, .restored = &kept});
  CHECK(restored->predicted(outputs).numbers == said.numbers);
  // Of the targets that are not given to a draw nothing is looked at.
  const std::vector<int64_t> labelled = {0, 2, 5};
  Targets others = data.values;
  for (const size_t i : {1, 3, 4, 6, 7}) others.values[2 * i] = others.values[2 * i + 1] = 1e9;
  std::vector<std::vector<double>> of_three;
  for (const Targets* targets : {&data.values, static_cast<const Targets*>(&others)}) {
    const auto some = entry_of("regress").make_network(
        {.configuration = configuration, .targets = targets, .labelled = &labelled, .outputs = 2});
    of_three.push_back(some->predicted(outputs).numbers);
  }
  CHECK(of_three[0] == of_three[1]);
  CHECK(of_three[0] != said.numbers);
}

TEST_CASE("tasks: marks are learned by binary cross entropy, those that are not known not at all") {
  const Data data;
  Targets targets{.type = TargetType::marks, .classes = {}, .values = {}, .width = 2};
  for (int64_t i = 0; i < 2 * samples; ++i) targets.classes.push_back(i % 5 == 4 ? -1 : i % 3 % 2);
  const auto task = make_network_task(task_configuration("tag"), targets);
  REQUIRE(task->outputs() == 4);
  const HostTensor outputs = normal({samples, 4}, 2);
  const std::vector<double> numbers = doubles_of(outputs);
  const auto [loss, found] = loss_and_gradient(*task, data, outputs, &targets);
  const Predicted said = task->predicted(outputs);
  double expected_loss = 0;
  for (size_t k = 0; k < 2 * samples; ++k) {
    const double odds = numbers[2 * k + 1] - numbers[2 * k];
    CHECK(said.numbers[k] == Approx(odds));
    const auto mark = targets.classes[k];
    if (mark >= 0) expected_loss += std::log(1 + std::exp(mark == 1 ? -odds : odds)) / 16;
    const double probability = 1 / (1 + std::exp(-odds));
    const double expected = mark < 0 ? 0 : (probability - static_cast<double>(mark)) / 16;
    CHECK(found[2 * k + 1] == Approx(expected).epsilon(1e-10));
    CHECK(found[2 * k] == Approx(-expected).epsilon(1e-10));
  }
  CHECK(loss == Approx(expected_loss).epsilon(1e-12));
}

TEST_CASE("tasks: gradients do not depend on how samples are divided over ranks") {
  const Data data;
  const auto alone = self_communicator();
  for (const char* name : {"classify", "regress"}) {
    INFO(name);
    const bool classes = std::string(name) == "classify";
    const Targets& targets = classes ? data.classes : data.values;
    const Configuration configuration =
        task_configuration(name, classes ? std::vector<std::string>{"task.class_weights=balanced"}
                                         : std::vector<std::string>{});
    const auto one = gradients(configuration, targets, {samples}, *alone);
    std::map<std::string, std::vector<double>> three;
    on_ranks(3, [&](Communicator& communicator) {
      auto found = gradients(configuration, targets, {3, 4, 1}, communicator);
      if (communicator.rank() == 2) three = std::move(found);
    });
    REQUIRE(three.size() == one.size());
    for (const auto& [parameter, gradient] : one) {
      CAPTURE(parameter);
      double largest = 0, apart = 0;
      for (size_t i = 0; i < gradient.size(); ++i) {
        largest = std::max(largest, std::abs(gradient[i]));
        apart = std::max(apart, std::abs(gradient[i] - three[parameter][i]));
      }
      CHECK(largest > 0);
      CHECK(apart <= 1e-10 * largest);
    }
  }
}

TEST_CASE("tasks: a frozen encoder keeps its weights and its running statistics") {
  const std::map<std::string, double> trained = steps(small_resnet, false, 1);
  const std::map<std::string, double> frozen = steps(small_resnet, true, 1);
  CHECK(frozen.at("head.weight") > 0);
  int moved = 0;
  for (const auto& [name, distance] : frozen) {
    INFO(name);
    if (!name.starts_with("encoder.")) continue;
    CHECK(distance == 0);
    moved += trained.at(name) > 0;
  }
  CHECK(moved > 20);
}

TEST_CASE("tasks: the learning rate decays from layer to layer towards the input") {
  const auto small_vit = [](Scope scope) {
    VitOptions options;
    options.features = 8;
    options.heads = 2;
    options.depth = 3;
    options.patch = 4;
    return make_vit(options, {8, 8, 1}, scope);
  };
  const std::map<std::string, double> plain = steps(small_vit, false, 1);
  const std::map<std::string, double> decayed = steps(small_vit, false, 0.5);
  // BEiT's factors for 3 blocks: 0.5^4 for the embedding, 0.5^(3 - i) for block i, 1 behind them.
  const std::map<std::string, double> factor = {{"encoder.patch_embed.proj.weight", 0.0625},
                                                {"encoder.pos_embed", 0.0625},
                                                {"encoder.blocks.0.mlp.fc1.weight", 0.125},
                                                {"encoder.blocks.1.mlp.fc1.weight", 0.25},
                                                {"encoder.blocks.2.mlp.fc1.weight", 0.5},
                                                {"encoder.norm.weight", 1},
                                                {"head.weight", 1}};
  for (const auto& [name, expected] : factor) {
    INFO(name);
    CHECK(decayed.at(name) == Approx(expected * plain.at(name)).epsilon(1e-9));
  }
  const std::map<std::string, double> resnet = steps(small_resnet, false, 1);
  const std::map<std::string, double> slower = steps(small_resnet, false, 0.5);
  // ResNet-18: a stem and 8 blocks.
  CHECK(slower.at("encoder.conv1.weight") ==
        Approx(resnet.at("encoder.conv1.weight") / 512).epsilon(1e-9));
  CHECK(slower.at("encoder.layer1.1.conv1.weight") ==
        Approx(resnet.at("encoder.layer1.1.conv1.weight") / 128).epsilon(1e-9));
  CHECK(slower.at("encoder.layer4.1.conv2.weight") ==
        Approx(resnet.at("encoder.layer4.1.conv2.weight") / 2).epsilon(1e-9));
}
