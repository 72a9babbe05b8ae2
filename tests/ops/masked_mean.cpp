#include "ops/masked_mean.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> masked_mean_cases() {
  const auto mean = [](const auto& x) { return masked_mean(x[0], x[1]); };
  return {
      {"masked_mean", {activation(Shape{4, 3, 5}), mask(Shape{4, 3})}, mean},
      {"masked_mean of many",
       {activation(Shape{9, 70, 131}), mask(Shape{9, 70})},
       mean,
       true,
       true},
      {"masked_mean of no samples",
       {constant(activation(Shape{0, 3, 2})), mask(Shape{0, 3})},
       mean,
       false},
      {"masked_mean of no tokens",
       {constant(activation(Shape{2, 0, 3})), mask(Shape{2, 0})},
       mean,
       false},
  };
}

TEST_CASE("a masked mean is over the tokens that count, by each sample's own count", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 2, 2}, {1, 2, 3, 6, 5, 6, 7, 8, 9, 10, 11, 12});
  const Tensor shown = leaf(Shape{3, 2}, {1, 1, 0, 1, 0, 0});
  CHECK_CLOSE(compute(masked_mean(x, shown)), {2, 4, 7, 8, 0, 0});
  CHECK_CLOSE(compute_gradients(masked_mean(x, shown), {x}, {2, 4, 6, 8, 10, 12})[0],
              {1, 2, 1, 2, 0, 0, 6, 8, 0, 0, 0, 0});
}

TEST_CASE("a masked mean refuses a mask of other tokens", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 1}, {1, 2});
  CHECK_THAT(death_message([&] {
               masked_mean(x, leaf(Shape{1, 1}, {1}));
             }),
             Catch::Contains("masked_mean of float64 [1, 2, 1] by float64 [1, 1]"));
}

}  // namespace lacuna::test::ops
