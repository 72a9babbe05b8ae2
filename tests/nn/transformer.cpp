#include "nn/transformer.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/evaluate.h"

using namespace lacuna;
using namespace lacuna::test::ops;

namespace {

// A communicator that says it is one of several and never speaks.
class Place final : public Communicator {
 public:
  Place(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Request all_gather(const void*, void*, std::span<const size_t>) override { return {}; }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void*, size_t, DType) override { return {}; }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t>, DType) override {
    return {};
  }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

 private:
  int rank_, size_;
};

Recording recording_of(Communicator& place, const std::vector<int64_t>& rows, int64_t step = 0) {
  return {.communicator = place,
          .compute = DType::f64,
          .parameters = DType::f64,
          .rows = rows,
          .seed = 5,
          .step = step};
}

// What stochastic depth makes of ones, one per row: 0 or 1 / (1 - rate).
std::vector<double> factors(double rate, Recording& recording) {
  Leaves leaf;
  const int64_t rows = recording.rows[static_cast<size_t>(recording.communicator.rank())];
  const Tensor ones = leaf(Shape{rows, 1}, std::vector<double>(static_cast<size_t>(rows), 1.0));
  return compute(stochastic_depth(ones, rate, recording));
}

}  // namespace

TEST_CASE("stochastic depth drops at its rate and keeps the mean") {
  Place alone(0, 1);
  Recording recording = recording_of(alone, {4000});
  const std::vector<double> kept = factors(0.25, recording);
  for (const double factor : kept) CHECK((factor == 0 || factor == Approx(4.0 / 3)));
  const double mean = std::accumulate(kept.begin(), kept.end(), 0.0) / 4000;
  CHECK(mean == Approx(1).margin(4 * std::sqrt(0.25 * 0.75 / 4000) * 4 / 3));
}

TEST_CASE("stochastic depth draws anew at each call and step and part") {
  Place alone(0, 1);
  Recording first = recording_of(alone, {64});
  const auto a = factors(0.5, first);
  CHECK(factors(0.5, first) != a);
  Recording again = recording_of(alone, {64});
  CHECK(factors(0.5, again) == a);
  Recording later = recording_of(alone, {64}, 1);
  CHECK(factors(0.5, later) != a);
  Recording part = recording_of(alone, {64});
  part.part = 1;
  CHECK(factors(0.5, part) != a);
  Recording seeded = recording_of(alone, {64});
  seeded.seed = 6;
  CHECK(factors(0.5, seeded) != a);
}

TEST_CASE("stochastic depth belongs to the rows of the global batch") {
  Place alone(0, 1);
  Recording whole = recording_of(alone, {48});
  std::vector<double> expected = factors(0.5, whole);
  std::vector<double> together;
  for (int rank = 0; rank < 3; ++rank) {
    Place place(rank, 3);
    Recording share = recording_of(place, {7, 0, 41});
    for (const double factor : factors(0.5, share)) together.push_back(factor);
  }
  CHECK(together == expected);
}

TEST_CASE("stochastic depth leaves evaluation and teachers alone") {
  Place alone(0, 1);
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 1}, {1, 2, 3});
  Recording evaluation = recording_of(alone, {3});
  evaluation.training = false;
  CHECK(stochastic_depth(x, 0.9, evaluation) == x);
  Recording teacher = recording_of(alone, {3});
  teacher.without_draws = true;
  CHECK(stochastic_depth(x, 0.9, teacher) == x);
  Recording training = recording_of(alone, {3});
  CHECK(stochastic_depth(x, 0, training) == x);
  CHECK_FALSE(stochastic_depth(x, 0.9, training) == x);
}
