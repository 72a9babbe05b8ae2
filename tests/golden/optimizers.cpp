// Optimizers and the schedule beside PyTorch: weights after each of several steps.
#include <catch2/catch.hpp>

#include "golden/golden.h"
#include "graph/executor.h"
#include "ops/elementwise.h"
#include "ops/updates.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace lacuna::golden {

namespace {

Configuration configuration(const Case& c) {
  std::string text = concat("[optimizer]\nname = \"", c.text("kind"), "\"\n");
  for (const char* key :
       {"momentum", "weight_decay", "trust", "beta1", "beta2", "epsilon", "clip"}) {
    if (c.has(key)) text += concat(key, " = ", c.number(key), "\n");
  }
  Schema schema;
  schema.add(optimizer_keys());
  return Configuration::from_text(text, schema, "optimizer.toml");
}

Schedule schedule_of(const Case& c, const char* total) {
  return {.peak = c.number("peak"), .warmup = c.integer("warmup"), .total = c.integer(total)};
}

// The parameters of make.py's optimizer_case(): some begin at zero, some have no gradient.
struct Parameter {
  const char* name;
  Shape shape;
  bool zero;
  bool has_gradient;
};
std::vector<Parameter> parameters() {
  return {{"matrix", {3, 5}, false, true},
          {"kernel", {4, 3, 3, 3}, false, true},
          {"bias", {7}, false, true},
          {"no_gradient", {2, 4}, false, false},
          {"no_weights", {3, 2}, true, true},
          {"nothing", {2, 2}, true, false},
          {"bias_without_gradient", {3}, false, false}};
}

HostTensor gradient_of(const Parameter& p, int64_t step, DType dtype) {
  HostTensor host(dtype, p.shape);
  const auto drawn = rounded_normal(p.name, p.shape.count(), 1, static_cast<uint32_t>(step + 1));
  for (size_t i = 0; i < drawn.size(); ++i) {
    const double value = p.has_gradient ? drawn[i] : 0;
    if (dtype == DType::f64) {
      host.as<double>()[i] = value;
    } else {
      host.as<float>()[i] = static_cast<float>(value);
    }
  }
  return host;
}

Results trajectory(const Case& c, const Setting& setting) {
  const auto device = setting.make();
  const auto self = self_communicator();
  const DType dtype = device->parameter_dtype();
  StateStore store(*device);
  std::vector<State*> weights;
  for (const Parameter& p : parameters()) {
    State& state = store.create(p.name, dtype, p.shape, Role::parameter);
    const auto drawn = rounded_normal(p.name, p.shape.count());
    state.fill([&](int64_t i) { return p.zero ? 0 : drawn[static_cast<size_t>(i)]; });
    weights.push_back(&state);
  }
  const auto optimizer = make_optimizer(configuration(c));
  optimizer->attach(store, weights, nullptr);
  const Schedule schedule = schedule_of(c, "steps");
  Executor executor(*device, {.eager = setting.eager});
  Results results;
  for (int64_t step = 0; step < c.integer("steps"); ++step) {
    std::deque<HostTensor> memory;
    std::vector<Tensor> gradients;
    for (const Parameter& p : parameters()) {
      memory.push_back(gradient_of(p, step, dtype));
      gradients.push_back(host_leaf(concat("gradient ", p.name), memory.back()));
    }
    ForwardContext forward{
        .communicator = *self, .compute = dtype, .parameters = dtype, .rows = {1}};
    const Tensor clip = c.has("clip") ? clip_factor(squared_norm(gradients),
                                                    forward.value("unscale", 1), c.number("clip"))
                                      : forward.value("no_clip", 1);
    optimizer->record(gradients, forward.value("rate", schedule.rate(static_cast<double>(step))),
                      clip, step, forward);
    executor.run({}, forward.updates);
    for (const State* state : weights) {
      results[concat(step, "/", state->name())] = state->values();
    }
  }
  return results;
}

}  // namespace

TEST_CASE("optimizers follow PyTorch over several steps of a schedule", "[golden]") {
  int cases = 0;
  for_each_case("optimizer", [&](const std::string& name, const Case& c) {
    for (const Setting& setting : settings()) {
      check(c, trajectory(c, setting), setting.limits, concat(name, setting));
    }
    ++cases;
  });
  CHECK(cases == 6);
}

TEST_CASE("the schedule is PyTorch's linear warm-up and cosine") {
  int cases = 0;
  for_each_case("schedule", [&](const std::string& name, const Case& c) {
    const Schedule schedule = schedule_of(c, "total");
    std::vector<double> rates;
    for (int64_t step = 0; step < schedule.total; ++step)
      rates.push_back(schedule.rate(static_cast<double>(step)));
    check(c, {{"rate", rates}}, settings().front().limits, name);
    ++cases;
  });
  CHECK(cases == 4);
}

}  // namespace lacuna::golden
