// The loss scale of float16, as it follows steps.
#include "train/loss_scale.h"
#include "backend/list.h"

#include <catch2/catch.hpp>

using namespace lacuna;

TEST_CASE("the loss scale is halved by an overflow and doubled after 2000 steps without one") {
  const auto device = make_device("cpu", 1);
  StateStore store(*device);
  LossScale scale(store);
  CHECK(scale.value() == 65536);
  for (int step = 0; step < 1999; ++step) scale.follow(true);
  scale.follow(false);
  CHECK(scale.value() == 32768);
  for (int step = 0; step < 1999; ++step) scale.follow(true);
  CHECK(scale.value() == 32768);
  scale.follow(true);
  CHECK(scale.value() == 65536);
  CHECK(store.find(loss_scaling)->values() == std::vector<double>{65536, 0});
}

TEST_CASE("gradients that overflow whatever the loss is scaled with end the run") {
  const auto device = make_device("cpu", 1);
  StateStore store(*device);
  LossScale scale(store);
  for (int step = 0; step < 30; ++step) scale.follow(false);
  CHECK(scale.value() == 0x1p-14);
  CHECK_THROWS_WITH(scale.follow(false), Catch::Contains("are no numbers in float16") &&
                                             Catch::Contains("train.precision"));
}

TEST_CASE("the loss scale stays below 2^24") {
  const auto device = make_device("cpu", 1);
  StateStore store(*device);
  LossScale scale(store);
  for (int step = 0; step < 2000 * 10; ++step) scale.follow(true);
  CHECK(scale.value() == 0x1p24);
}
