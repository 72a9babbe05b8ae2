// Sums in double-double arithmetic, so that terms may come in any order: the exact sum, rounded to
// double, unless it lies within some 2^-40 of a unit in the last place of where rounding turns.
#pragma once

#include <cmath>

namespace lacuna {

// sum + what rounding left off it: high takes the rounded sum of itself and `term`, and low what
// that is short of (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B). Exact but for the
// rounding of low, 2^-53 of high or less.
constexpr void add_to(double& high, double& low, double term) {
  const double sum = high + term;
  const double of_term = sum - high;
  low += (high - (sum - of_term)) + (term - of_term);
  high = sum;
}

struct DoubleDouble {
  double high = 0, low = 0;

  constexpr double value() const { return high + low; }
  constexpr void add(double term) { add_to(high, low, term); }
  constexpr void add(const DoubleDouble& other) {
    add(other.high);
    add(other.low);
  }
  void add_product(double a, double b) {
    const double product = a * b;
    add(product);
    add(std::fma(a, b, -product));
  }
};

}  // namespace lacuna
