#include "base/text.h"

#include <catch2/catch.hpp>

using namespace lacuna;

TEST_CASE("text: numbers are whole texts, counts have their plural, durations their hours") {
  CHECK(as_number<int64_t>("12") == 12);
  CHECK(as_number<double>("0.5") == 0.5);
  for (const char* none : {"", "12 ", " 12", "1x", "x", "99999999999999999999"})
    CHECK(!as_number<int64_t>(none));
  CHECK(counted(1, "rank") == "1 rank");
  CHECK(counted(0, "rank") == "0 ranks");
  CHECK(duration_text(725.4) == "0:12:05");
  CHECK(duration_text(3600.0 * 123 - 0.4) == "123:00:00");
}
