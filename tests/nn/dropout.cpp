#include "nn/dropout.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "nn/recorded.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

using namespace lacuna;
using namespace lacuna::test;
using namespace lacuna::test::ops;

namespace {

std::vector<double> drawn(ForwardContext& forward, const Shape& shape,
                          ForwardContext::Distribution distribution) {
  return compute(
      forward.per_element("test", Purpose::test, shape, distribution, [](double x) { return x; }));
}

double mean_of(const std::vector<double>& x, int power) {
  double sum = 0;
  for (const double v : x) sum += std::pow(v, power);
  return sum / static_cast<double>(x.size());
}

constexpr auto uniform = ForwardContext::Distribution::uniform;
constexpr auto normal = ForwardContext::Distribution::normal;

}  // namespace

TEST_CASE("draws per element have the moments of their distribution") {
  SilentRank alone(0, 1);
  const auto keys = keys_of(400);
  ForwardContext forward = forward_context_of(alone, {400}, keys);
  const Shape shape{10, 25};
  const auto u = drawn(forward, shape, uniform);
  REQUIRE(u.size() == 100000);
  CHECK(*std::min_element(u.begin(), u.end()) >= 0);
  CHECK(*std::max_element(u.begin(), u.end()) < 1);
  for (const int power : {1, 2, 3, 4})
    CHECK(mean_of(u, power) == Approx(1.0 / (power + 1)).margin(0.005));
  // The moments of N(0, 1): 0, 1, 0, 3, 0, 15; margins of five deviations.
  const auto z = drawn(forward, shape, normal);
  CHECK(mean_of(z, 1) == Approx(0).margin(0.016));
  CHECK(mean_of(z, 2) == Approx(1).margin(0.023));
  CHECK(mean_of(z, 3) == Approx(0).margin(0.062));
  CHECK(mean_of(z, 4) == Approx(3).margin(0.16));
  // Neighbours have nothing to do with each other.
  double product = 0;
  for (size_t i = 1; i < z.size(); ++i) product += z[i] * z[i - 1];
  CHECK(product / 1e5 == Approx(0).margin(0.016));
}

TEST_CASE("draws per element differ by call, view, sample, epoch, seed and purpose") {
  SilentRank alone(0, 1);
  const auto of = [&](const SampleKey& key, int view = 0) {
    const auto keys = keys_of(3, key);
    ForwardContext forward = forward_context_of(alone, {3}, keys);
    forward.view = view;
    return drawn(forward, Shape{7}, uniform);
  };
  const auto a = of({.seed = 5});
  CHECK(of({.seed = 5}) == a);
  CHECK(of({.seed = 5}, 1) != a);
  CHECK(of({.seed = 5, .sample = 3}) != a);
  CHECK(of({.seed = 5, .epoch = 1}) != a);
  CHECK(of({.seed = 6}) != a);
  const auto keys = keys_of(3);
  ForwardContext forward = forward_context_of(alone, {3}, keys);
  CHECK(drawn(forward, Shape{7}, uniform) == a);
  CHECK(drawn(forward, Shape{7}, uniform) != a);
  ForwardContext other = forward_context_of(alone, {3}, keys);
  CHECK(compute(other.per_element("test", Purpose::dropout, Shape{7}, uniform,
                                  [](double x) { return x; })) != a);
}

TEST_CASE("draws per element belong to the samples, whatever is padded behind them") {
  SilentRank alone(0, 1);
  const auto keys = keys_of(4);
  const auto of_length = [&](int64_t length) {
    ForwardContext forward = forward_context_of(alone, {4}, keys);
    return drawn(forward, Shape{length, 3}, normal);
  };
  const auto short_ones = of_length(5);
  const auto padded = of_length(9);
  for (size_t row = 0; row < 4; ++row)
    for (size_t i = 0; i < 15; ++i) CHECK(short_ones[row * 15 + i] == padded[row * 27 + i]);
  // Three ranks, of which one has no rows; the samples are dealt in turn.
  for (const int rank : {0, 1, 2}) {
    std::vector<SampleKey> dealt;
    for (size_t i = static_cast<size_t>(rank) / 2; rank != 1 && i < 4; i += 2)
      dealt.push_back(keys[i]);
    SilentRank place(rank, 3);
    ForwardContext share = forward_context_of(place, {2, 0, 2}, dealt);
    const auto found = drawn(share, Shape{5, 3}, normal);
    REQUIRE(found.size() == dealt.size() * 15);
    for (size_t i = 0; i < found.size(); ++i)
      CHECK(found[i] == short_ones[dealt[i / 15].sample * 15 + i % 15]);
  }
}

TEST_CASE("dropout drops at its rate, keeps the mean and sends gradients through what it keeps") {
  SilentRank alone(0, 1);
  Leaves leaf;
  const auto keys = keys_of(200);
  ForwardContext forward = forward_context_of(alone, {200}, keys);
  const Tensor x = leaf(Shape{200, 50}, std::vector<double>(10000, 2.0));
  const Tensor y = dropout(x, 0.25, forward);
  const auto values = compute(y);
  for (const double v : values) CHECK((v == 0 || v == Approx(8.0 / 3)));
  CHECK(mean_of(values, 1) == Approx(2).margin(5 * 8.0 / 3 * std::sqrt(0.25 * 0.75 / 10000)));
  const auto gradient = compute_gradients(y, {x})[0];
  for (size_t i = 0; i < values.size(); ++i) CHECK(gradient[i] == Approx(values[i] / 2));
}

TEST_CASE("dropout leaves evaluation and teachers alone, and refuses a rate of 1") {
  SilentRank alone(0, 1);
  Leaves leaf;
  const auto keys = keys_of(3);
  const Tensor x = leaf(Shape{3, 1}, {1, 2, 3});
  ForwardContext evaluation = forward_context_of(alone, {3}, {});
  evaluation.training = false;
  CHECK(dropout(x, 0.9, evaluation) == x);
  ForwardContext teacher = forward_context_of(alone, {3}, {});
  teacher.without_draws = true;
  CHECK(dropout(x, 0.9, teacher) == x);
  ForwardContext training = forward_context_of(alone, {3}, keys);
  CHECK(dropout(x, 0, training) == x);
  CHECK_FALSE(dropout(x, 0.9, training) == x);
  CHECK_THAT(death_message([&] { dropout(x, 1, training); }),
             Catch::Contains("dropout of [3, 1] at a rate of 1"));
}
