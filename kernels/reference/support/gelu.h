// GELU (Hendrycks, Gimpel 2016) of one number, and its derivative.
#pragma once

#include <cmath>
#include <numbers>

namespace lacuna::reference {

// Phi, the distribution function of N(0, 1).
inline double normal_distribution(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

inline double gelu_of(double x) { return x * normal_distribution(x); }

inline double gelu_slope(double x) {
  const double density = std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return normal_distribution(x) + x * density;
}

}  // namespace lacuna::reference
