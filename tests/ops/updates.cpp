#include "ops/updates.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "backend/list.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

std::vector<Tensor> tensors_of(const std::vector<State*>& states) {
  std::vector<Tensor> tensors;
  for (const State* state : states) tensors.push_back(state->tensor());
  return tensors;
}

}  // namespace

std::vector<Case> updates_cases() {
  return {
      {"lars_norms of two tensors",
       {parameter(Shape{5, 7}), parameter(Shape{1}), parameter(Shape{5, 7}), parameter(Shape{1})},
       [](const auto& x) {
         return lars_norms({x[0], x[1]}, {x[2], x[3]}, squared_norm({x[0]}), 0.3);
       },
       false},
      {"clip_factor that clips",
       {activation(Shape{5, 7})},
       [](const auto& x) { return clip_factor(squared_norm({x[0]}), squared_norm({x[0]}), 0.7); },
       false},
      {"clip_factor that leaves",
       {activation(Shape{5, 7})},
       [](const auto& x) { return clip_factor(squared_norm({x[0]}), squared_norm({x[0]}), 1e6); },
       false},
  };
}

std::vector<UpdateCase> all_update_cases() {
  using Sources = const std::vector<Tensor>&;
  using Targets = const std::vector<std::vector<State*>>&;
  const std::vector<Shape> shapes = {Shape{3, 5, 7}, Shape{1}, Shape{129}};
  return {
      {"sgd_update",
       shapes,
       2,
       {0.1, 0.5},
       [](Sources g, Targets t, Sources v) {
         return sgd_update(g, t[0], t[1], v[0], v[1], Sgd{0.9, 0.01});
       }},
      {"lars_update",
       shapes,
       2,
       {0.1, 0.5},
       [](Sources g, Targets t, Sources v) {
         const Tensor norms = lars_norms(g, tensors_of(t[0]), v[1], 0.01);
         return lars_update(g, t[0], t[1], v[0], v[1], norms, Lars{0.9, 0.01, 0.02});
       }},
      {"adamw_update",
       shapes,
       3,
       {0.1, 0.5, 0.271, 0.01},
       [](Sources g, Targets t, Sources v) {
         return adamw_update(g, t[0], t[1], t[2], v[0], v[1], v[2], v[3],
                             AdamW{0.9, 0.99, 1e-8, 0.05});
       }},
      {"ema_update",
       shapes,
       1,
       {0.99},
       [](Sources x, Targets t, Sources v) { return ema_update(x, t[0], v[0]); }},
  };
}

namespace {

// Weights and an optimizer's tensors of two elements on the reference device.
struct Fixture {
  std::unique_ptr<Device> device = make_device("reference", 1);
  StateStore store{*device};
  Leaves leaf;
  State& state(const std::string& name, const std::vector<double>& values) {
    State& state =
        store.create(name, DType::f64, Shape{static_cast<int64_t>(values.size())}, Role::parameter);
    state.fill([&](int64_t i) { return values[static_cast<size_t>(i)]; });
    return state;
  }
};

}  // namespace

TEST_CASE("sgd_update has the values of the definition", "[ops]") {
  Fixture f;
  State& w = f.state("w", {1, 2});
  State& v = f.state("v", {0, 10});
  const Tensor g = f.leaf(Shape{2}, {3, 4});
  const Update update =
      sgd_update({g}, {&w}, {&v}, f.leaf.scalar(0.1), f.leaf.scalar(0.5), Sgd{0.9, 0.1});
  apply(update);
  CHECK_CLOSE(v.values(), {1.6, 11.2});
  CHECK_CLOSE(w.values(), {0.84, 0.88});
}

TEST_CASE("lars_update has the values of the definition", "[ops]") {
  Fixture f;
  State& w = f.state("w", {3, 4});
  State& v = f.state("v", {0, 0});
  State& zero = f.state("zero", {0, 0});
  State& zero_v = f.state("zero_v", {0, 0});
  const Tensor g = f.leaf(Shape{2}, {1, 0});
  const Tensor one = f.leaf.scalar(1);
  const Tensor norms = lars_norms({g, g}, {w.tensor(), zero.tensor()}, one, 0);
  CHECK_CLOSE(compute(norms), {25, 1, 0, 1});
  CHECK_CLOSE(compute(lars_norms({g}, {w.tensor()}, f.leaf.scalar(2), 0.5)), {25, 12.25 + 4});
  apply(lars_update({g, g}, {&w, &zero}, {&v, &zero_v}, f.leaf.scalar(2), one, norms,
                    Lars{0.9, 0, 0.001}));
  CHECK_CLOSE(v.values(), {0.005, 0});  // 0.001 |w| / |g| = 0.005
  CHECK_CLOSE(w.values(), {2.99, 4});
  CHECK_CLOSE(zero.values(), {-2, 0});  // no ratio where the weights are zero
}

TEST_CASE("adamw_update has the values of the definition", "[ops]") {
  Fixture f;
  State& w = f.state("w", {1});
  State& m = f.state("m", {0});
  State& v = f.state("v", {0});
  const Tensor g = f.leaf(Shape{1}, {0.5});
  const double c1 = 0.1;
  const double c2 = 0.001;
  apply(adamw_update({g}, {&w}, {&m}, {&v}, f.leaf.scalar(0.1), f.leaf.scalar(1), f.leaf.scalar(c1),
                     f.leaf.scalar(c2), AdamW{0.9, 0.999, 0, 0.1}));
  // Decayed by 1 %, then one step of the learning rate: the first one does not depend on g's size.
  CHECK_CLOSE(w.values(), {0.99 - 0.1});
  CHECK_CLOSE(m.values(), {0.05});
  CHECK_CLOSE(v.values(), {0.00025});
}

TEST_CASE("ema_update reads the weights as an optimizer recorded before it left them", "[ops]") {
  Fixture f;
  State& w = f.state("w", {1});
  State& v = f.state("v", {0});
  State& teacher = f.state("teacher", {10});
  const Tensor g = f.leaf(Shape{1}, {1});
  Executor executor(*f.device);
  executor.run({}, {sgd_update({g}, {&w}, {&v}, f.leaf.scalar(0.5), f.leaf.scalar(1), Sgd{0, 0}),
                    ema_update({w.tensor()}, {&teacher}, f.leaf.scalar(0.9))});
  CHECK_CLOSE(w.values(), {0.5});
  CHECK_CLOSE(teacher.values(), {9.05});
}

TEST_CASE("clip_factor has the values of the definition", "[ops]") {
  Leaves leaf;
  const double infinity = std::numeric_limits<double>::infinity();
  const auto factor = [&](double squared_norm, double unscale, double limit) {
    return compute(clip_factor(leaf.scalar(squared_norm), leaf.scalar(unscale), limit));
  };
  CHECK_CLOSE(factor(25, 1, 2), {2 / (5 + 1e-6)});
  CHECK_CLOSE(factor(0.25, 1, 2), {1});
  CHECK_CLOSE(factor(0, 1, 2), {1});
  CHECK_CLOSE(factor(25, 0.5, 2), {0.5 * 2 / (2.5 + 1e-6)});
  CHECK_CLOSE(factor(25, 0.25, 2), {0.25});
  CHECK_CLOSE(factor(25, 0.5, infinity), {0.5});
  CHECK_CLOSE(factor(infinity, 0.5, 2), {0});
  CHECK_CLOSE(factor(std::numeric_limits<double>::quiet_NaN(), 0.5, infinity), {0});
}

// A step that is left out because its gradients are not finite.
TEST_CASE("updates with a factor of 0 change nothing", "[ops]") {
  const auto check = [](Device& device) {
    StateStore store(device);
    const DType dtype = device.parameter_dtype();
    HostTensor gradient = from_doubles(dtype, Shape{3}, {1, std::nan(""), HUGE_VAL});
    const Tensor g = host_leaf("g", gradient);
    std::vector<State*> states;
    for (const char* name : {"w", "m", "v"}) {
      states.push_back(&store.create(name, dtype, Shape{3}, Role::parameter));
      states.back()->fill([](int64_t i) { return static_cast<double>(i) + 0.5; });
    }
    const auto [w, m, v] = std::array{states[0], states[1], states[2]};
    Leaves leaf;
    const Tensor rate = leaf.scalar(0.1), zero = leaf.scalar(0), c = leaf.scalar(0.5);
    Executor executor(device);
    for (const Update& update :
         {sgd_update({g}, {w}, {m}, rate, zero, Sgd{0.9, 0.1}),
          lars_update({g}, {w}, {m}, rate, zero, lars_norms({g}, {w->tensor()}, zero, 0.1),
                      Lars{0.9, 0.1, 0.001}),
          adamw_update({g}, {w}, {m}, {v}, rate, zero, c, c, AdamW{0.9, 0.99, 1e-8, 0.1})}) {
      INFO(device.name() << ", " << update.operation->name);
      executor.run({}, {update});
      for (const State* state : states) CHECK_CLOSE(state->values(), {0.5, 1.5, 2.5});
    }
  };
  for (const char* name : {"reference", "cpu"}) check(*make_device(name, 2));
}

TEST_CASE("updates refuse tensors that do not fit", "[ops]") {
  Fixture f;
  State& w = f.state("w", {1, 2});
  const Tensor one = f.leaf.scalar(1);
  CHECK_THAT(death_message([&] {
               sgd_update({f.leaf(Shape{3}, {1, 2, 3})}, {&w}, {&w}, one, one, Sgd{0, 0});
             }),
             Catch::Contains("sgd_update of \"w\" float64 [2] by float64 [3]"));
  CHECK_THAT(death_message([&] { ema_update({w.tensor()}, {}, one); }),
             Catch::Contains("ema_update of 1 tensors and 0"));
  CHECK_THAT(death_message([&] { ema_update({w.tensor()}, {&w}, w.tensor()); }),
             Catch::Contains("an update's value is float64 [2]"));
  CHECK_THAT(death_message([&] { clip_factor(one, one, 0); }), Catch::Contains("clipping to 0"));
}

}  // namespace lacuna::test::ops
