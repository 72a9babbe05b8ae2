#include "data/order/batch_table.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "support/death.h"

using namespace lacuna;

TEST_CASE("positions of all streams follow from the step and the table of batches") {
  BatchTable table = BatchTable::constant({4, 3});
  CHECK(table.position(0) == 0);
  CHECK(table.position(10, 0) == 40);
  CHECK(table.position(10, 1) == 30);
  table.change(10, {6, 3});
  table.change(12, {6, 1});
  CHECK(table.rows(9) == std::vector<int64_t>{4, 3});
  CHECK(table.rows(11) == std::vector<int64_t>{6, 3});
  CHECK(table.rows(500) == std::vector<int64_t>{6, 1});
  CHECK(table.position(11, 0) == 46);
  CHECK(table.position(20, 0) == 40 + 60);
  CHECK(table.position(20, 1) == 30 + 6 + 8);
  // What was to come is forgotten, and the same again is no change.
  table.change(11, {6, 3});
  CHECK(table.entries().size() == 2);
  CHECK(table.position(20, 1) == 60);
  table.change(0, {5, 5});
  CHECK(table == BatchTable::constant({5, 5}));
}

TEST_CASE("the table of batches tells how many steps take so many samples") {
  CHECK(BatchTable::constant({8, 3}).steps_within(44) == 5);
  CHECK(BatchTable::constant({8, 3}).steps_within(48) == 6);
  BatchTable table = BatchTable::constant({8});
  table.change(3, {2});
  table.change(5, {10});
  for (int64_t samples = 0; samples < 100; ++samples) {
    const int64_t steps = table.steps_within(samples);
    CAPTURE(samples, steps);
    CHECK(table.position(steps) <= samples);
    CHECK(table.position(steps + 1) > samples);
  }
}

TEST_CASE("tables of batches that cannot be are refused") {
  using Entries = std::vector<BatchTable::Entry>;
  CHECK_NOTHROW(BatchTable(Entries{{0, {4}}, {3, {5}}}));
  CHECK_THROWS_AS(BatchTable(Entries{{1, {4}}}), std::out_of_range);
  CHECK_THROWS_AS(BatchTable(Entries{{0, {4}}, {3, {5}}, {3, {6}}}), std::out_of_range);
  CHECK_THROWS_AS(BatchTable(Entries{{0, {4}}, {3, {5, 6}}}), std::out_of_range);
  CHECK_THROWS_AS(BatchTable(Entries{{0, {4, 0}}}), std::out_of_range);
  CHECK_THROWS_AS(BatchTable(Entries{{0, {}}}), std::out_of_range);
  CHECK_THROWS_AS(BatchTable(Entries{{0, {int64_t{1} << 62}}}), std::out_of_range);
  CHECK_THAT(test::death_message([] { BatchTable().change(3, {4}); }),
             Catch::Contains("no batch before step 3"));
}
