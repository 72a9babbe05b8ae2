#include "ops/cross_entropy.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> cross_entropy_cases() {
  const auto mean_of = [](int64_t rows) {
    return [=](const std::vector<Tensor>& x) {
      return softmax_cross_entropy(x[0], x[1], 1.0 / static_cast<double>(rows));
    };
  };
  return {
      {"softmax_cross_entropy", {activation(Shape{7, 5}, 2), labels(7, 5)}, mean_of(7)},
      {"softmax_cross_entropy of one class", {activation(Shape{3, 2}), labels(3, 2)}, mean_of(3)},
      {"softmax_cross_entropy of many",
       {activation(Shape{65, 103}, 3), labels(65, 103)},
       mean_of(65),
       true,
       true},
  };
}

TEST_CASE("softmax_cross_entropy has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor logits = leaf(Shape{2, 2}, {0, std::log(3), 5, 1});
  CHECK_CLOSE(compute(softmax_cross_entropy(logits, leaf.labels({0, -1}), 0.5)),
              {0.5 * std::log(4)});
  CHECK_CLOSE(compute(softmax_cross_entropy(logits, leaf.labels({1, -1}), 1)), {std::log(4.0 / 3)});
  CHECK_CLOSE(
      compute_gradients(softmax_cross_entropy(logits, leaf.labels({0, -1}), 2), {logits})[0],
      {-1.5, 1.5, 0, 0});
  // Large logits do not overflow.
  const Tensor large = leaf(Shape{1, 2}, {1000, 0});
  CHECK_CLOSE(compute(softmax_cross_entropy(large, leaf.labels({1}), 1)), {1000});
}

TEST_CASE("softmax_cross_entropy refuses shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor logits = leaf(Shape{2, 2}, {0, 1, 5, 1});
  CHECK_THAT(death_message([&] { softmax_cross_entropy(logits, leaf.labels({0}), 1); }),
             Catch::Contains("softmax_cross_entropy of logits [2, 2] and int64 labels [1]"));
}

}  // namespace lacuna::test::ops
