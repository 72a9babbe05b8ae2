#include "ops/softmax.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> softmax_cases() {
  std::vector<Case> cases;
  const std::vector<std::pair<std::string, Tensor (*)(const Tensor&, const Tensor&)>> both = {
      {"softmax", softmax}, {"log_softmax", log_softmax}};
  for (const auto& [name, function] : both) {
    const auto plain = [of = function](const auto& x) { return of(x[0], {}); };
    const auto tempered = [of = function](const auto& x) { return of(x[0], x[1]); };
    cases.push_back({name, {activation(Shape{2, 3, 5}, 2)}, plain});
    cases.push_back({name + " of one class", {constant(activation(Shape{3, 1}))}, plain, false});
    cases.push_back({name + " with a temperature",
                     {activation(Shape{3, 7}), constant(value_of_step(Shape{}))},
                     tempered});
    cases.push_back({name + " of many",
                     {activation(Shape{65, 1031}, 3), constant(value_of_step(Shape{}))},
                     tempered,
                     true,
                     true});
    cases.push_back({name + " of none", {constant(activation(Shape{0, 3}))}, plain, false});
  }
  return cases;
}

TEST_CASE("softmax and its logarithm have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {0, std::log(3), 5, 5});
  CHECK_CLOSE(compute(softmax(x)), {0.25, 0.75, 0.5, 0.5});
  CHECK_CLOSE(compute(log_softmax(x)),
              {std::log(0.25), std::log(0.75), std::log(0.5), std::log(0.5)});
  CHECK_CLOSE(compute(softmax(x, leaf.scalar(0.5))), {0.1, 0.9, 0.5, 0.5});
  // Large logits do not overflow, and small ones keep their logarithm.
  const Tensor large = leaf(Shape{1, 2}, {1000, 0});
  CHECK_CLOSE(compute(softmax(large)), {1, 0});
  CHECK_CLOSE(compute(log_softmax(large)), {0, -1000});
  // p (seed - sum p seed), at half the temperature twice that.
  CHECK_CLOSE(compute_gradients(softmax(x), {x}, {4, 0, 0, 0})[0], {0.75, -0.75, 0, 0});
  CHECK_CLOSE(compute_gradients(softmax(x, leaf.scalar(0.5)), {x}, {1, 0, 0, 0})[0],
              {0.18, -0.18, 0, 0});
  CHECK_CLOSE(compute_gradients(log_softmax(x), {x}, {1, 0, 0, 0})[0], {0.75, -0.75, 0, 0});
}

TEST_CASE("softmax refuses what does not fit", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2}, {1, 2});
  CHECK_THAT(death_message([&] {
               softmax(leaf(Shape{2, 0}, {}));
             }),
             Catch::Contains("softmax of float64 [2, 0]"));
  CHECK_THAT(death_message([&] { log_softmax(x, x); }),
             Catch::Contains("log_softmax with a temperature of float64 [1, 2]"));
}

}  // namespace lacuna::test::ops
