#include "tasks/features.h"

#include <catch2/catch.hpp>

#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

TEST_CASE("standardised features have mean 0 and deviation 1, constant ones become 0") {
  Features features = clusters(200, 3, 4, 2, 5);
  for (int64_t i = 0; i < 200; ++i)
    features.values.as<float>()[static_cast<size_t>(3 * i + 1)] = 0.1f;
  standardise(features.values, standardisation(features.values));
  const Standardisation after = standardisation(features.values);
  for (const size_t j : {size_t{0}, size_t{2}}) {
    CHECK(after.mean[j] == Approx(0).margin(1e-6));
    CHECK(after.deviation[j] == Approx(1).epsilon(1e-5));
  }
  CHECK(after.mean[1] == 0);
  CHECK(after.deviation[1] == 0);
}
