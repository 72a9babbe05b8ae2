#include "ops/soft_cross_entropy.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> soft_cross_entropy_cases() {
  const auto loss = [](const auto& x) { return soft_cross_entropy(x[0], x[1]); };
  const auto weights = [](const Shape& shape) {
    return constant(positive(Operand::Kind::activation, shape));
  };
  return {
      {"soft_cross_entropy", {activation(Shape{7, 5}, 2), weights(Shape{7, 5})}, loss},
      {"soft_cross_entropy of targets as parameters",
       {activation(Shape{3, 2}), constant(positive(Operand::Kind::parameter, Shape{3, 2}))},
       loss},
      {"soft_cross_entropy of many",
       {activation(Shape{65, 103}, 3), weights(Shape{65, 103})},
       loss,
       true,
       true},
      {"soft_cross_entropy of none",
       {constant(activation(Shape{0, 3})), weights(Shape{0, 3})},
       loss,
       false},
  };
}

TEST_CASE("soft_cross_entropy has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor logits = leaf(Shape{2, 2}, {0, std::log(3), 1000, 0});
  const Tensor targets = leaf(Shape{2, 2}, {0.5, 0.25, 0, 0.125});
  // Minus the logarithms of 1/4 and 3/4; of the second row -1000.
  const double first = 0.5 * std::log(4) + 0.25 * std::log(4.0 / 3);
  CHECK_CLOSE(compute(soft_cross_entropy(logits, targets)), {first + 125});
  CHECK_CLOSE(compute_gradients(soft_cross_entropy(logits, targets), {logits}, {2})[0],
              {2 * (0.75 * 0.25 - 0.5), 2 * (0.75 * 0.75 - 0.25), 0.25, -0.25});
}

TEST_CASE("soft_cross_entropy refuses shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor logits = leaf(Shape{2, 2}, {0, 1, 5, 1});
  CHECK_THAT(death_message([&] {
               soft_cross_entropy(logits, leaf.labels({0, 1}));
             }),
             Catch::Contains("soft_cross_entropy of float64 logits [2, 2] and int64 targets [2]"));
}

}  // namespace lacuna::test::ops
