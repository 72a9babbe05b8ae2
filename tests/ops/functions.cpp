#include "ops/functions.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "backend/list.h"
#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> functions_cases() {
  const auto of_positive = [](const Shape& shape) {
    return positive(Operand::Kind::activation, shape);
  };
  const Shape odd{3, 7};
  const Shape many{5, 1031};
  const std::vector<std::pair<std::string, Tensor (*)(const Tensor&)>> functions = {
      {"exp", exp},   {"log", log},         {"square_root", square_root},
      {"tanh", tanh}, {"sigmoid", sigmoid}, {"silu", silu},
  };
  std::vector<Case> cases;
  for (const auto& [name, function] : functions) {
    const bool of_positive_only = name == "log" || name == "square_root";
    const auto operand = [&](const Shape& shape) {
      return of_positive_only ? of_positive(shape) : activation(shape, 2);
    };
    const auto build = [of = function](const auto& x) { return of(x[0]); };
    cases.push_back({name, {operand(odd)}, build});
    cases.push_back({name + " of many", {operand(many)}, build, true, true});
    cases.push_back({name + " of none", {constant(operand(Shape{0, 3}))}, build, false});
  }
  const auto quotient = [](const auto& x) { return divide(x[0], x[1]); };
  cases.push_back({"divide", {activation(odd), of_positive(odd)}, quotient});
  cases.push_back({"divide of many", {activation(many), of_positive(many)}, quotient, true, true});
  cases.push_back({"divide of none",
                   {constant(activation(Shape{0, 3})), constant(activation(Shape{0, 3}))},
                   quotient,
                   false});
  cases.push_back({"a chain of functions", {of_positive(odd)}, [](const auto& x) {
                     return divide(silu(tanh(log(x[0]))), sigmoid(exp(square_root(x[0]))));
                   }});
  return cases;
}

TEST_CASE("functions have the values of the definition", "[ops]") {
  Leaves leaf;
  const double third = std::log(3);
  const Tensor x = leaf(Shape{3}, {0, 1, -third});
  CHECK_CLOSE(compute(exp(x)), {1, std::exp(1), 1.0 / 3});
  CHECK_CLOSE(compute(sigmoid(x)), {0.5, 1 / (1 + std::exp(-1)), 0.25});
  CHECK_CLOSE(compute(silu(x)), {0, 1 / (1 + std::exp(-1)), -third / 4});
  CHECK_CLOSE(compute(tanh(x)), {0, std::tanh(1), -0.8});
  CHECK_CLOSE(compute(log(leaf(Shape{2}, {1, std::exp(2)}))), {0, 2});
  CHECK_CLOSE(compute(square_root(leaf(Shape{2}, {0, 9}))), {0, 3});
  const Tensor a = leaf(Shape{2}, {6, -1});
  const Tensor b = leaf(Shape{2}, {3, 4});
  CHECK_CLOSE(compute(divide(a, b)), {2, -0.25});
  const auto gradients = compute_gradients(divide(a, b), {a, b}, {3, 16});
  CHECK_CLOSE(gradients[0], {1, 4});
  CHECK_CLOSE(gradients[1], {-2, 1});
  CHECK_CLOSE(compute_gradients(silu(x), {x}, {1, 0, 0})[0], {0.5, 0, 0});
}

namespace {

std::vector<double> on_cpu(const Tensor& y) {
  const std::unique_ptr<Device> cpu = make_device("cpu", 1);
  Executor executor(*cpu);
  executor.run({y});
  return to_doubles(executor.output(0));
}

}  // namespace

TEST_CASE("functions on the cpu are exact at the ends of what a float holds", "[ops][cpu]") {
  Leaves leaf;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double none = std::numeric_limits<double>::quiet_NaN();
  // More than a vector of them: vectors and what is left behind them are other code.
  std::vector<double> ends;
  for (int i = 0; i < 7; ++i) ends.insert(ends.end(), {-infinity, -200, 200, infinity, none});
  const auto size = static_cast<int64_t>(ends.size());
  const Tensor x = leaf(Shape{size}, ends, DType::f32);
  const auto check = [&](const Tensor& y, const std::vector<double>& expected) {
    const std::vector<double> found = on_cpu(y);
    for (size_t i = 0; i < found.size(); ++i) {
      INFO(y.node()->operation->name << " of " << ends[i]);
      if (i % 5 == 4) {
        CHECK(std::isnan(found[i]));
      } else {
        CHECK((found[i] == expected[i % 5] || std::abs(found[i] - expected[i % 5]) < 1e-37));
      }
    }
  };
  check(exp(x), {0, 0, infinity, infinity});
  check(tanh(x), {-1, -1, 1, 1});
  check(sigmoid(x), {0, 0, 1, 1});
  const std::vector<double> logs = on_cpu(log(leaf(Shape{4}, {0, -1, infinity, none}, DType::f32)));
  CHECK(logs[0] == -infinity);
  CHECK(std::isnan(logs[1]));
  CHECK(logs[2] == infinity);
  CHECK(std::isnan(logs[3]));
}

TEST_CASE("functions of float64 are exact on the cpu", "[ops][cpu]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{2}, {6, -1.5});
  const Tensor b = leaf(Shape{2}, {3, 4});
  for (const Tensor& y : {exp(a), tanh(a), sigmoid(a), silu(a), log(b), square_root(b),
                          divide(a, b), divide(exp(a), silu(b))}) {
    CHECK(on_cpu(y) == compute(y));
  }
}

TEST_CASE("functions refuse what does not fit", "[ops]") {
  Leaves leaf;
  CHECK_THAT(death_message([&] { exp(leaf.labels({1})); }), Catch::Contains("exp of int64"));
  CHECK_THAT(death_message([&] {
               divide(leaf(Shape{2}, {1, 2}), leaf(Shape{1}, {1}));
             }),
             Catch::Contains("divide of float64 [2] by float64 [1]"));
}

}  // namespace lacuna::test::ops
