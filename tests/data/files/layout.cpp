// Where samples lie, against a list of all windows that is made by going through every row.
#include "data/files/layout.h"

#include <catch2/catch.hpp>

using namespace lacuna;

namespace {

struct Found {
  std::vector<RowRange> samples;
  std::vector<int64_t> series;
};

// Every window of every series, found by trying each row as its first.
Found found_by_hand(const std::vector<int64_t>& offsets, int64_t length, int64_t hop) {
  Found found;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    for (int64_t row = offsets[s]; row + length <= offsets[s + 1]; ++row) {
      if ((row - offsets[s]) % hop != 0) continue;
      found.samples.push_back({row, length});
      found.series.push_back(static_cast<int64_t>(s));
    }
  }
  return found;
}

void compare(const SamplePlaces& places, const Found& found) {
  REQUIRE(places.samples() == static_cast<int64_t>(found.samples.size()));
  for (int64_t i = 0; i < places.samples(); ++i) {
    CHECK(places.rows_of(i) == found.samples[static_cast<size_t>(i)]);
    CHECK(places.series_of(i) == found.series[static_cast<size_t>(i)]);
  }
}

}  // namespace

TEST_CASE("windows of series of one length are all those that a series holds") {
  for (const auto& [length, hop] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {4, 1}, {4, 3}, {4, 4}, {4, 9}, {11, 2}, {12, 5}}) {
    SampleLayout layout{.leading = 1, .length = length, .hop = hop};
    compare(SamplePlaces(layout, {3, 11, 2}), found_by_hand({0, 11, 22, 33}, length, hop));
    layout.leading = 2;
    compare(SamplePlaces(layout, {2, 2, 11, 2}), found_by_hand({0, 11, 22, 33, 44}, length, hop));
    layout.leading = 0;
    compare(SamplePlaces(layout, {33, 2}), found_by_hand({0, 33}, length, hop));
  }
  const SampleLayout layout{.leading = 1, .length = 12, .hop = 1};
  CHECK(SamplePlaces(layout, {3, 11}).too_short() == 3);
}

TEST_CASE("windows of series of several lengths never cross an end") {
  const std::vector<int64_t> offsets = {2, 2, 9, 12, 30, 30, 41};
  for (const auto& [length, hop] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 2}, {7, 7}, {8, 3}, {18, 1}}) {
    const SampleLayout layout{.offsets = "o", .length = length, .hop = hop};
    compare(SamplePlaces::windows(layout, offsets), found_by_hand(offsets, length, hop));
  }
  const SampleLayout layout{.offsets = "o", .length = 7, .hop = 2};
  CHECK(SamplePlaces::windows(layout, offsets).too_short() == 3);
}

TEST_CASE("leading axes count samples row by row, or a file is one") {
  const SamplePlaces steps(SampleLayout{.leading = 2}, {3, 4, 5});
  CHECK(steps.samples() == 12);
  CHECK(steps.rows_of(7) == RowRange{7, 1});
  CHECK(steps.series_of(7) == 1);
  const SamplePlaces file(SampleLayout{.leading = 0}, {9, 5});
  CHECK(file.samples() == 1);
  const SamplePlaces whole(SampleLayout{.leading = 0, .length = 4}, {9, 5});
  CHECK(whole.samples() == 1);
  CHECK(whole.rows_of(0) == RowRange{0, 9});
}
