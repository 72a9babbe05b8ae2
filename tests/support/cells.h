// Which cells of a matrix of tests, such as every objective on every modality, this run takes.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"

namespace lacuna::testing {

// Every third of the cells, from LACUNA_TEST_CELLS = 0, 1 or 2 on, which tools/test chooses by the
// commit's hash; all where it is not set (tools/test --all, ctest by hand), and of
// fewer than three.
template <typename T>
std::vector<T> chosen_cells(const std::vector<T>& all) {
  const char* set = std::getenv("LACUNA_TEST_CELLS");
  if (set == nullptr || all.size() < 3) return all;
  const std::string first = set;
  LACUNA_CHECK(first == "0" || first == "1" || first == "2", first);
  std::vector<T> chosen;
  for (size_t i = static_cast<size_t>(first[0] - '0'); i < all.size(); i += 3) {
    chosen.push_back(all[i]);
  }
  return chosen;
}

}  // namespace lacuna::testing
