#include "ops/squared_error.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> squared_error_cases() {
  const Shape odd{2, 3, 5, 3};
  const auto plain = [](const auto& x) { return squared_error(x[0], x[1], 0.25); };
  const auto weighted = [](const auto& x) { return squared_error(x[0], x[1], 0.25, x[2]); };
  return {
      {"squared_error", {activation(odd), activation(odd)}, plain},
      {"squared_error with weights",
       {activation(odd), activation(odd),
        constant(positive(Operand::Kind::activation, Shape{2, 3, 5, 1}))},
       weighted},
      {"squared_error of many",
       {activation(Shape{17, 9, 33}), activation(Shape{17, 9, 33})},
       plain,
       true,
       true},
  };
}

TEST_CASE("squared_error has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{2, 2}, {1, 2, 3, 4});
  const Tensor b = leaf(Shape{2, 2}, {0, 0, 5, 4});
  const Tensor weights = leaf(Shape{2, 1}, {10, 1});
  CHECK_CLOSE(compute(squared_error(a, b, 0.5)), {4.5});
  CHECK_CLOSE(compute(squared_error(a, b, 1, weights)), {54});
  const auto gradients = compute_gradients(squared_error(a, b, 1, weights), {a, b});
  CHECK_CLOSE(gradients[0], {20, 40, -4, 0});
  CHECK_CLOSE(gradients[1], {-20, -40, 4, 0});
}

TEST_CASE("squared_error refuses shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{2, 2}, {1, 2, 3, 4});
  const Tensor b = leaf(Shape{2, 1}, {0, 0});
  CHECK_THAT(death_message([&] { squared_error(a, b, 1); }),
             Catch::Contains("squared_error of float64 [2, 2] and float64 [2, 1]"));
  CHECK_THAT(death_message([&] { squared_error(a, a, 1, a); }),
             Catch::Contains("squared_error of [2, 2] with float64 weights [2, 2]"));
}

}  // namespace lacuna::test::ops
