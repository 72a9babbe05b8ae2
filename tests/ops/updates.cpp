#include "ops/updates.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> clip_factor_cases() {
  return {
      {"clip_factor that clips",
       {activation(Shape{5, 7})},
       [](const auto& x) { return clip_factor(squared_norm({x[0]}), 0.7); },
       false},
      {"clip_factor that leaves",
       {activation(Shape{5, 7})},
       [](const auto& x) { return clip_factor(squared_norm({x[0]}), 100); },
       false},
  };
}

std::vector<UpdateCase> update_cases() {
  using Sources = const std::vector<Tensor>&;
  using Targets = const std::vector<std::vector<State*>>&;
  const std::vector<Shape> shapes = {Shape{3, 5, 7}, Shape{1}, Shape{129}};
  const auto lars = [](int64_t adapt) {
    return [=](Sources g, Targets t, Sources v) {
      return lars_update(g, t[0], t[1], v[0], v[1], Lars{0.9, 0.01, 0.02, adapt});
    };
  };
  return {
      {"sgd_update",
       shapes,
       2,
       {0.1, 0.5},
       [](Sources g, Targets t, Sources v) {
         return sgd_update(g, t[0], t[1], v[0], v[1], Sgd{0.9, 0.01});
       }},
      {"lars_update", shapes, 2, {0.1, 0.5}, lars(1)},
      {"lars_update without adaptation", shapes, 2, {0.1, 0.5}, lars(0)},
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
  apply(lars_update({g, g}, {&w, &zero}, {&v, &zero_v}, f.leaf.scalar(2), f.leaf.scalar(1),
                    Lars{0.9, 0, 0.001, 1}));
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
  CHECK_CLOSE(compute(clip_factor(leaf.scalar(25), 2)), {2 / (5 + 1e-6)});
  CHECK_CLOSE(compute(clip_factor(leaf.scalar(0.25), 2)), {1});
  CHECK_CLOSE(compute(clip_factor(leaf.scalar(0), 2)), {1});
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
  CHECK_THAT(death_message([&] { clip_factor(one, 0); }), Catch::Contains("clipping to 0"));
}

}  // namespace lacuna::test::ops
