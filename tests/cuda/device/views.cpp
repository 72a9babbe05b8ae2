// Views that the device makes of stored samples are those of the host.
#include "support/views.h"

#include <catch2/catch.hpp>

#include "cuda/device/support.h"

using namespace lacuna;

TEST_CASE("cuda: views that the device makes are those of the host") {
  const auto device = testing::cuda_device();
  CHECK(testing::views_against_host(*device, DType::f32) < 2e-5);
  CHECK(testing::views_against_host(*device, DType::bf16) < 0.01);
}
