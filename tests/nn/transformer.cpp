#include "nn/transformer.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "nn/recorded.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"

using namespace lacuna;
using namespace lacuna::test;
using namespace lacuna::test::ops;

namespace {

// What stochastic depth makes of ones, one per row: 0 or 1 / (1 - rate).
std::vector<double> factors(double rate, ForwardContext& forward) {
  Leaves leaf;
  const int64_t rows = forward.rows[static_cast<size_t>(forward.communicator.rank())];
  const Tensor ones = leaf(Shape{rows, 1}, std::vector<double>(static_cast<size_t>(rows), 1.0));
  return compute(stochastic_depth(ones, rate, forward));
}

}  // namespace

TEST_CASE("stochastic depth drops at its rate and keeps the mean") {
  SilentRank alone(0, 1);
  const auto keys = keys_of(4000);
  ForwardContext forward = forward_context_of(alone, {4000}, keys);
  const std::vector<double> kept = factors(0.25, forward);
  for (const double factor : kept) CHECK((factor == 0 || factor == Approx(4.0 / 3)));
  const double mean = std::accumulate(kept.begin(), kept.end(), 0.0) / 4000;
  CHECK(mean == Approx(1).margin(4 * std::sqrt(0.25 * 0.75 / 4000) * 4 / 3));
}

TEST_CASE("stochastic depth draws anew for each call, view, sample, epoch and seed") {
  SilentRank alone(0, 1);
  const auto drawn = [&](const SampleKey& key, int view = 0) {
    const auto keys = keys_of(64, key);
    ForwardContext forward = forward_context_of(alone, {64}, keys);
    forward.view = view;
    return factors(0.5, forward);
  };
  const auto a = drawn({.seed = 5});
  CHECK(drawn({.seed = 5}) == a);
  CHECK(drawn({.seed = 5}, 1) != a);
  CHECK(drawn({.seed = 5, .sample = 64}) != a);
  CHECK(drawn({.seed = 5, .epoch = 1}) != a);
  CHECK(drawn({.seed = 6}) != a);
  const auto keys = keys_of(64);
  ForwardContext forward = forward_context_of(alone, {64}, keys);
  CHECK(factors(0.5, forward) == a);
  CHECK(factors(0.5, forward) != a);
}

TEST_CASE("what is drawn for a view does not depend on how often others were drawn for") {
  SilentRank alone(0, 1);
  const auto keys = keys_of(64);
  ForwardContext one = forward_context_of(alone, {64}, keys);
  one.view = 1;
  const auto expected = factors(0.5, one);
  ForwardContext two = forward_context_of(alone, {64}, keys);
  factors(0.5, two);
  factors(0.5, two);
  two.view = 1;
  CHECK(factors(0.5, two) == expected);
}

TEST_CASE("stochastic depth belongs to the samples, wherever their rows are") {
  SilentRank alone(0, 1);
  const auto all = keys_of(48);
  ForwardContext whole = forward_context_of(alone, {48}, all);
  const std::vector<double> expected = factors(0.5, whole);
  // Three ranks, one without rows, to which the samples are dealt in turn.
  const std::vector<int64_t> rows = {24, 0, 24};
  for (const int rank : {0, 1, 2}) {
    std::vector<SampleKey> dealt;
    for (size_t i = static_cast<size_t>(rank) / 2; rank != 1 && i < all.size(); i += 2)
      dealt.push_back(all[i]);
    SilentRank place(rank, 3);
    ForwardContext share = forward_context_of(place, rows, dealt);
    const std::vector<double> found = factors(0.5, share);
    REQUIRE(found.size() == dealt.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[dealt[i].sample]);
  }
}

TEST_CASE("stochastic depth leaves evaluation and teachers alone") {
  SilentRank alone(0, 1);
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 1}, {1, 2, 3});
  ForwardContext evaluation = forward_context_of(alone, {3});
  evaluation.training = false;
  CHECK(stochastic_depth(x, 0.9, evaluation) == x);
  ForwardContext teacher = forward_context_of(alone, {3});
  teacher.without_draws = true;
  CHECK(stochastic_depth(x, 0.9, teacher) == x);
  const auto keys = keys_of(3);
  ForwardContext training = forward_context_of(alone, {3}, keys);
  CHECK(stochastic_depth(x, 0, training) == x);
  CHECK_FALSE(stochastic_depth(x, 0.9, training) == x);
}
