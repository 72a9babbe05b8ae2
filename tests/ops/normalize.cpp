#include "ops/normalize.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> normalize_cases() {
  const auto unit = [](const auto& x) { return normalize(x[0]); };
  return {
      {"normalize", {activation(Shape{5, 7})}, unit},
      {"normalize of one row", {activation(Shape{1, 3})}, unit},
      {"normalize of short rows",
       {activation(Shape{4, 5}, 0.1)},
       [](const auto& x) { return normalize(x[0], 100); }},
      {"normalize of many", {activation(Shape{33, 131})}, unit, true, true},
      {"normalize of no rows", {constant(activation(Shape{0, 3}))}, unit, false},
  };
}

TEST_CASE("normalised rows have unit length and short rows are divided by epsilon", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 2}, {3, 4, 0, 0, 0.03, 0.04});
  CHECK_CLOSE(compute(normalize(x, 0.1)), {0.6, 0.8, 0, 0, 0.3, 0.4});
  const auto gradient = compute_gradients(normalize(x, 0.1), {x}, {1, 0, 1, 0, 1, 0})[0];
  CHECK_CLOSE(gradient, {(1 - 0.36) / 5, -0.48 / 5, 10, 0, 10, 0});
}

TEST_CASE("normalize refuses what is not rows", "[ops]") {
  Leaves leaf;
  CHECK_THAT(death_message([&] {
               normalize(leaf(Shape{2}, {1, 2}));
             }),
             Catch::Contains("normalize of float64 [2]"));
}

}  // namespace lacuna::test::ops
