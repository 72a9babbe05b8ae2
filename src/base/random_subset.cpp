#include "base/random_subset.h"

#include "base/error.h"

namespace lacuna {

std::set<int64_t> random_subset(const Draws& draws, int64_t population, int64_t count) {
  LACUNA_CHECK(count >= 0 && count <= population, count, " of ", population);
  std::set<int64_t> chosen;
  // Of [0, last], as last grows: a number that is new, else last.
  for (int64_t last = population - count; last < population; ++last) {
    const auto index = static_cast<uint32_t>(last - (population - count));
    const auto number = static_cast<int64_t>(draws.below(index, static_cast<uint64_t>(last + 1)));
    if (!chosen.insert(number).second) chosen.insert(last);
  }
  return chosen;
}

}  // namespace lacuna
