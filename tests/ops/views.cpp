// Views that a device makes are those of the host.
#include "support/views.h"
#include "backend/list.h"

#include <catch2/catch.hpp>

using namespace lacuna;

TEST_CASE("views on the reference device are those that the host makes", "[ops]") {
  const auto device = make_device("reference", 1);
  CHECK(testing::views_against_host(*device, DType::f64) < 1e-5);
  CHECK(testing::views_against_host(*device, DType::f64, 1) > 0.5);
}
