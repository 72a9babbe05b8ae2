#include "ops/attention.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> attention_cases() {
  const auto heads = [](int64_t count) {
    return [count](const auto& x) { return self_attention(x[0], count); };
  };
  return {
      {"attention", {activation(Shape{2, 5, 18})}, heads(2)},
      {"attention of one head", {activation(Shape{1, 4, 9})}, heads(1)},
      {"attention of one token", {activation(Shape{2, 1, 6})}, heads(1)},
      {"attention that looks at few tokens", {activation(Shape{2, 6, 12}, 3)}, heads(2)},
      // A block of queries and the rest of one; sizes that fill no vector.
      {"attention of many tokens", {activation(Shape{2, 101, 3 * 2 * 20})}, heads(2), true, true},
      {"attention of ViT-Ti", {activation(Shape{3, 50, 3 * 192})}, heads(3), true, true},
      {"attention of wide heads", {activation(Shape{1, 17, 3 * 131})}, heads(1), true, true},
      {"attention of no samples", {constant(activation(Shape{0, 3, 6}))}, heads(1), false},
  };
}

TEST_CASE("attention is the softmax of the products of queries and keys, on the values", "[ops]") {
  Leaves leaf;
  // Two tokens, one head of two features: q, k, v.
  const Tensor qkv = leaf(Shape{1, 2, 6}, {1, 0, /**/ 2, 1, /**/ 1, 2,  //
                                           0, 3, /**/ 0, 1, /**/ 5, 4});
  // Logits 2 and 0 of the first token, 3 and 3 of the second, over sqrt(2).
  const double p = 1 / (1 + std::exp(-std::sqrt(2.0)));
  CHECK_CLOSE(compute(self_attention(qkv, 1)), {p * 1 + (1 - p) * 5, p * 2 + (1 - p) * 4, 3, 3});
}

TEST_CASE("attention's heads do not see each other", "[ops]") {
  Leaves leaf;
  const std::vector<double> values = {1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1};
  std::vector<double> other = values;
  for (const size_t of_head_1 : {1, 3, 5, 7, 9, 11}) other[of_head_1] *= -3;
  const auto y = compute(self_attention(leaf(Shape{1, 2, 6}, values), 2));
  const auto z = compute(self_attention(leaf(Shape{1, 2, 6}, other), 2));
  CHECK(y[0] == z[0]);
  CHECK(y[2] == z[2]);
  CHECK(y[1] != z[1]);
  CHECK(y[3] != z[3]);
}

TEST_CASE("attention refuses features that are no queries, keys and values of its heads", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 1, 9}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK_THAT(death_message([&] { self_attention(x, 2); }),
             Catch::Contains("self_attention of 2 heads on float64 [1, 1, 9]"));
}

}  // namespace lacuna::test::ops
