#include "base/random_subset.h"

#include <catch2/catch.hpp>

#include <map>
#include <numeric>

using namespace lacuna;

TEST_CASE("a random subset has as many numbers as are asked for, all of the population") {
  for (const int64_t population : {1, 2, 7, 1000}) {
    for (const int64_t count : {int64_t{0}, int64_t{1}, population / 2, population}) {
      const auto chosen = random_subset(Draws(3, Purpose::test, 1), population, count);
      CAPTURE(population, count);
      REQUIRE(static_cast<int64_t>(chosen.size()) == count);
      if (count == 0) continue;
      CHECK(*chosen.begin() >= 0);
      CHECK(*chosen.rbegin() < population);
    }
  }
}

// Of 5 numbers 10 pairs: of 20,000 draws 2000 each, with a standard deviation of 42.4.
TEST_CASE("every subset is as likely as every other") {
  std::map<std::set<int64_t>, int> times;
  for (uint64_t draw = 0; draw < 20000; ++draw)
    ++times[random_subset(Draws(3, Purpose::test, draw), 5, 2)];
  CHECK(times.size() == 10);
  for (const auto& [pair, count] : times) {
    CAPTURE(*pair.begin(), *pair.rbegin());
    CHECK(std::abs(count - 2000) < 5 * 43);
  }
}
