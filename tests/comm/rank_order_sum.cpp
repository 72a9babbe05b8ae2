#include "comm/rank_order_sum.h"

#include <catch2/catch.hpp>

#include <limits>
#include <vector>

using namespace lacuna;

TEST_CASE("sums over ranks add from the lowest rank on") {
  // (1 + 2^53) rounds to 2^53, so that only this order gives 0 and another one gives 1 or 2.
  const std::vector<double> parts = {1, 0x1p53, -0x1p53};
  double sum = -1;
  rank_order_sum(&sum, parts.data(), sizeof(double), 3, 1, DType::f64);
  CHECK(sum == 0);
  const std::vector<double> other = {0x1p53, -0x1p53, 1};
  rank_order_sum(&sum, other.data(), sizeof(double), 3, 1, DType::f64);
  CHECK(sum == 1);
}

TEST_CASE("sums over ranks of every length reach every element and no other") {
  for (size_t count = 0; count < 3000; count += count < 40 ? 1 : 487) {
    std::vector<float> parts(3 * count);
    for (size_t i = 0; i < parts.size(); ++i) parts[i] = static_cast<float>(i);
    std::vector<float> sum(count + 1, -7);
    rank_order_sum(sum.data(), parts.data(), count * sizeof(float), 3, count, DType::f32);
    for (size_t i = 0; i < count; ++i) {
      REQUIRE(sum[i] == static_cast<float>(i + (count + i) + (2 * count + i)));
    }
    CHECK(sum[count] == -7);
  }
}

TEST_CASE("sums over ranks of integers wrap and may be made in place") {
  std::vector<int64_t> parts = {std::numeric_limits<int64_t>::max(), 5, 1, 6};
  rank_order_sum(parts.data(), parts.data(), 2 * sizeof(int64_t), 2, 2, DType::i64);
  CHECK(parts[0] == std::numeric_limits<int64_t>::min());
  CHECK(parts[1] == 11);
}
