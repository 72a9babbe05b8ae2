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
  const auto each = [](int64_t count, bool causal) {
    return [=](const auto& x) {
      return attention(
          x[0], x[1], x[2],
          {.heads = count, .causal = causal, .key_lengths = x.size() > 3 ? x[3] : Tensor()});
    };
  };
  const auto operands = [](const Shape& queries, int64_t keys) {
    Shape of_keys = queries;
    of_keys.set(1, keys);
    return std::vector<Operand>{activation(queries), activation(of_keys), activation(of_keys)};
  };
  const auto with_lengths = [](std::vector<Operand> all, std::vector<int64_t> lengths) {
    all.push_back({Operand::Kind::labels, Shape{static_cast<int64_t>(lengths.size())},
                   [=](const Draws&, uint32_t i) { return static_cast<double>(lengths[i]); },
                   false});
    return all;
  };
  return {
      {"attention on other keys", operands(Shape{2, 3, 6}, 5), each(2, false)},
      {"attention on keys before the query", operands(Shape{2, 4, 6}, 4), each(2, true)},
      {"attention of the last queries on all keys", operands(Shape{1, 2, 3}, 5), each(1, true)},
      {"attention on fewer keys than queries", operands(Shape{1, 5, 4}, 3), each(1, true)},
      {"attention on keys of several lengths",
       with_lengths(operands(Shape{4, 3, 6}, 5), {5, 1, 0, 3}), each(2, false)},
      {"attention on keys before the query, of several lengths",
       with_lengths(operands(Shape{3, 5, 4}, 5), {5, 2, 0}), each(1, true)},
      {"attention of many tokens on other keys", operands(Shape{2, 101, 2 * 20}, 75),
       each(2, false), true, true},
      {"attention of many tokens on keys before them",
       with_lengths(operands(Shape{2, 131, 3 * 67}, 131), {131, 70}), each(3, true), true, true},
      {"attention of few tokens on many keys",
       with_lengths(operands(Shape{2, 3, 2 * 33}, 150), {150, 97}), each(2, true), true, true},
      {"attention of no samples on other keys",
       {constant(activation(Shape{0, 2, 4})), constant(activation(Shape{0, 3, 4})),
        constant(activation(Shape{0, 3, 4}))},
       each(2, false),
       false},
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

TEST_CASE("attention of queries, keys and values of their own is that of the packed ones",
          "[ops]") {
  Leaves leaf;
  const std::vector<double> q = {1, 0, 0, 3}, k = {2, 1, 0, 1}, v = {1, 2, 5, 4};
  const Shape shape{1, 2, 2};
  const Tensor packed = leaf(Shape{1, 2, 6}, {1, 0, 2, 1, 1, 2, 0, 3, 0, 1, 5, 4});
  const auto expected = compute(self_attention(packed, 1));
  CHECK_CLOSE(compute(attention(leaf(shape, q), leaf(shape, k), leaf(shape, v), {})), expected);
  // The first query sees the first key alone, the last one both.
  CHECK_CLOSE(compute(attention(leaf(shape, q), leaf(shape, k), leaf(shape, v), {.causal = true})),
              {1, 2, expected[2], expected[3]});
  // Of two samples one has one key, the other none.
  const auto twice = [&](std::vector<double> x) {
    x.insert(x.end(), x.begin(), x.begin() + 4);
    return leaf(Shape{2, 2, 2}, x);
  };
  const Tensor y = attention(twice(q), twice(k), twice(v), {.key_lengths = leaf.labels({1, 0})});
  CHECK_CLOSE(compute(y), {1, 2, 1, 2, 0, 0, 0, 0});
}

TEST_CASE("attention does not read keys and values that no query sees", "[ops]") {
  Leaves leaf;
  const Tensor q = leaf(Shape{1, 2, 1}, {1, -2});
  const auto of = [&](double unseen) {
    const Tensor k = leaf(Shape{1, 3, 1}, {1, 3, unseen});
    const Tensor v = leaf(Shape{1, 3, 1}, {5, 7, unseen});
    const Tensor y = attention(q, k, v, {.key_lengths = leaf.labels({2})});
    auto all = compute_gradients(y, {q, k, v}, {1, 2});
    all.push_back(compute(y));
    return all;
  };
  CHECK(of(1e300) == of(0));
}

TEST_CASE("attention refuses what does not fit", "[ops]") {
  Leaves leaf;
  const Tensor q = leaf(Shape{1, 1, 2}, {1, 2});
  CHECK_THAT(death_message([&] {
               attention(q, q, leaf(Shape{1, 1, 1}, {1}), {});
             }),
             Catch::Contains("attention of 1 heads on queries float64 [1, 1, 2], keys float64 "
                             "[1, 1, 2] and values float64 [1, 1, 1]"));
  CHECK_THAT(death_message([&] {
               attention(q, q, q, {.key_lengths = leaf.labels({1, 2})});
             }),
             Catch::Contains("attention on queries [1, 1, 2] with key lengths int64 [2]"));
}

TEST_CASE("attention refuses features that are no queries, keys and values of its heads", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 1, 9}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK_THAT(death_message([&] { self_attention(x, 2); }),
             Catch::Contains("self_attention of 2 heads on float64 [1, 1, 9]"));
}

}  // namespace lacuna::test::ops
