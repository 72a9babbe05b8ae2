#include "support/cells.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace lacuna;
using namespace lacuna::testing;

TEST_CASE("three runs take every cell of a matrix once, and a run without a choice all") {
  const char* set = std::getenv("LACUNA_TEST_CELLS");
  const std::string before = set == nullptr ? "" : set;
  for (int count = 0; count < 9; ++count) {
    std::vector<int> all;
    for (int i = 0; i < count; ++i) all.push_back(i);
    ::unsetenv("LACUNA_TEST_CELLS");
    CHECK(chosen_cells(all) == all);
    std::vector<int> taken;
    for (const char* third : {"0", "1", "2"}) {
      ::setenv("LACUNA_TEST_CELLS", third, 1);
      const std::vector<int> cells = chosen_cells(all);
      CHECK((count == 0 || !cells.empty()));
      if (count < 3) {
        CHECK(cells == all);
      } else {
        taken.insert(taken.end(), cells.begin(), cells.end());
      }
    }
    std::sort(taken.begin(), taken.end());
    if (count >= 3) CHECK(taken == all);
  }
  ::unsetenv("LACUNA_TEST_CELLS");
  if (set != nullptr) ::setenv("LACUNA_TEST_CELLS", before.c_str(), 1);
}
