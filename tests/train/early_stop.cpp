#include "train/early_stop.h"

#include <catch2/catch.hpp>

#include <csignal>

using namespace lacuna;

TEST_CASE("early stop: over its time, and not before") {
  const auto alone = self_communicator();
  const auto hour_ago = EarlyStop::Clock::now() - std::chrono::hours(1);
  CHECK(!EarlyStop({}, 0, hour_ago, *alone).decide(1e9));
  CHECK(!EarlyStop({}, 1.5, hour_ago, *alone).decide(1000));
  const auto why = EarlyStop({}, 1.5, hour_ago, *alone).decide(2000);
  REQUIRE(why);
  CHECK(why->what == "--max-hours 1.5");
  CHECK_THROWS_WITH(
      EarlyStop::end(*why, "after step 3"),
      "stopped early after step 3 for --max-hours 1.5: start the same command again to go on");
}

TEST_CASE("early stop: the sums tell which rank was signalled, or how many") {
  const auto alone = self_communicator();
  const EarlyStop stop({}, 0, {}, *alone);
  CHECK(!stop.decision(std::vector<double>{0, 0, 0, 0, 0}));
  CHECK(stop.decision(std::vector<double>{1, 3, SIGUSR1, 0.5, 0})->what == "SIGUSR1 to rank 3");
  const auto why = stop.decision(std::vector<double>{4, 6, 4 * SIGTERM, 8, 1});
  CHECK(why->what == "SIGTERM to 4 ranks");
  CHECK(why->seconds() == Approx(2).margin(0.5));
}
