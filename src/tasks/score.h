// Score: one named figure of how well a task is done, and which direction is better.
#pragma once

#include <cmath>
#include <limits>
#include <string>

namespace lacuna {

enum class Direction { higher, lower };  // is better

constexpr const char* name_of(Direction direction) {
  return direction == Direction::higher ? "higher" : "lower";
}

// Bounds that the true value lies within in 95 of 100 cases; NaN where they are not known.
struct ConfidenceInterval {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

struct Score {
  std::string name;  // "accuracy"
  Direction better = Direction::higher;
  double value = std::numeric_limits<double>::quiet_NaN();
  ConfidenceInterval interval = {};
};

// Whether `a` is better than `b`, a score of the same name; what is not finite is never better, and
// always worse than a number.
inline bool is_better(const Score& a, const Score& b) {
  if (std::isnan(a.value)) return false;
  if (std::isnan(b.value)) return true;
  return a.better == Direction::higher ? a.value > b.value : a.value < b.value;
}

}  // namespace lacuna
