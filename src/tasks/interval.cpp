#include "tasks/interval.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lacuna {

namespace {

// The continued fraction of the incomplete beta function by Lentz's method (Press et al., Numerical
// Recipes, 6.4).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m <= 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    h *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

// The regularised incomplete beta function I_x(a, b).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

// The probability of a t above the given one, t > 0.
double upper_tail(double t, double degrees) {
  return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2;
}

}  // namespace

double student_t_quantile(double p, int64_t degrees_of_freedom) {
  LACUNA_CHECK(p > 0 && p < 1 && degrees_of_freedom >= 1);
  if (p == 0.5) return 0;
  if (p < 0.5) return -student_t_quantile(1 - p, degrees_of_freedom);
  const auto degrees = static_cast<double>(degrees_of_freedom);
  double low = 0, high = 1;
  while (upper_tail(high, degrees) > 1 - p) high *= 2;
  for (int halving = 0; halving < 200 && high - low > 1e-15 * high; ++halving) {
    const double middle = (low + high) / 2;
    (upper_tail(middle, degrees) > 1 - p ? low : high) = middle;
  }
  return (low + high) / 2;
}

Mean mean_of(const std::vector<double>& values) {
  LACUNA_CHECK(!values.empty());
  const auto n = static_cast<double>(values.size());
  Mean mean;
  // In this order of operations, as results were always written.
  for (const double value : values) mean.value += value / n;
  if (values.size() == 1) return mean;
  double squares = 0;
  for (const double value : values) squares += (value - mean.value) * (value - mean.value);
  const double error = std::sqrt(squares / (n - 1) / n);
  const double t = student_t_quantile(0.975, static_cast<int64_t>(values.size()) - 1);
  mean.interval = {mean.value - t * error, mean.value + t * error};
  return mean;
}

ConfidenceInterval percentile_interval(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double p) {
    const double at = p * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, values.size() - 1);
    if (values[below] == values[above]) return values[below];  // both may be infinite
    return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {quantile(0.025), quantile(0.975)};
}

}  // namespace lacuna
