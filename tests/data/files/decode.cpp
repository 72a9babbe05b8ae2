// Decoding against values known from elsewhere.
#include "data/files/decode.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace lacuna;

TEST_CASE("first value that is not finite is found in every float type") {
  std::vector<float> values(10000, -3.5f);
  CHECK(first_not_finite(values.data(), 10000, DType::f32) == -1);
  values[9999] = std::numeric_limits<float>::quiet_NaN();
  CHECK(first_not_finite(values.data(), 10000, DType::f32) == 9999);
  values[4097] = -std::numeric_limits<float>::infinity();
  CHECK(first_not_finite(values.data(), 10000, DType::f32) == 4097);
  const std::vector<double> doubles = {1, std::numeric_limits<double>::max(), HUGE_VAL};
  CHECK(first_not_finite(doubles.data(), 3, DType::f64) == 2);
  const std::vector<uint16_t> halves = {0x7bff, 0xfc00};
  CHECK(first_not_finite(halves.data(), 2, DType::f16) == 1);
  CHECK(first_not_finite(halves.data(), 2, DType::u16) == -1);
}
