#include "stages/pretrain/snapshots.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>

using namespace lacuna;

TEST_CASE("snapshots: an epoch ends after the last step that does not reach beyond it") {
  // 44 samples in batches of 8: epochs end at 5.5, 11 and 16.5 steps.
  const EpochEnds ends{.samples = 44, .batches = BatchTable::constant({8}), .every = 1};
  std::vector<std::pair<int64_t, int64_t>> found;
  for (int64_t steps = 0; steps <= 16; ++steps) {
    if (const auto epoch = ends.epoch_at(steps)) found.emplace_back(steps, *epoch);
  }
  CHECK(found == std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {5, 1}, {11, 2}, {16, 3}});
}

TEST_CASE("snapshots: only every so many epochs and the last one where a step holds several") {
  const EpochEnds third{.samples = 44, .batches = BatchTable::constant({8}), .every = 3};
  for (int64_t steps = 1; steps <= 33; ++steps) {
    INFO(steps);
    CHECK(third.epoch_at(steps).value_or(0) == (steps == 16 ? 3 : steps == 33 ? 6 : 0));
  }
  const EpochEnds large{.samples = 3, .batches = BatchTable::constant({8}), .every = 1};
  CHECK(large.epoch_at(1) == 5);  // 15 of 16 samples
  CHECK(large.epoch_at(2) == 7);  // 21 of 24
}

TEST_CASE("snapshots: samples are chosen by the seed and each is there once") {
  const auto samples_of = [](const std::vector<SampleRange>& ranges) {
    std::vector<int64_t> all;
    for (const SampleRange& range : ranges) {
      for (int64_t i = range.first; i < range.end; ++i) all.push_back(i);
    }
    return all;
  };
  const std::vector<int64_t> chosen = samples_of(snapshot_samples(1000, 300, 1));
  CHECK(chosen.size() == 300);
  CHECK(std::adjacent_find(chosen.begin(), chosen.end(), std::greater_equal<>()) == chosen.end());
  CHECK(chosen.front() >= 0);
  CHECK(chosen.back() < 1000);
  CHECK(chosen == samples_of(snapshot_samples(1000, 300, 1)));
  CHECK(chosen != samples_of(snapshot_samples(1000, 300, 2)));
  // Uniform: a tenth of them in each tenth, within five standard deviations.
  for (int64_t tenth = 0; tenth < 10; ++tenth) {
    const auto inside = std::count_if(chosen.begin(), chosen.end(),
                                      [&](int64_t sample) { return sample / 100 == tenth; });
    CHECK(std::abs(inside - 30) < 26);
  }
  CHECK(snapshot_samples(10, 10, 1) == std::vector<SampleRange>{{0, 10}});
  CHECK(snapshot_samples(10, 11, 1) == std::vector<SampleRange>{{0, 10}});
}
