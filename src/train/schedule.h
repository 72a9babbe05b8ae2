// Learning rate by step: linear warm-up (Goyal et al. 2017), then one cosine to zero (Loshchilov,
// Hutter 2017).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace lacuna {

struct Schedule {
  double peak;
  int64_t warmup;  // steps
  int64_t total;   // steps

  // Step 0 is the first.
  double rate(int64_t step) const {
    if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
    const auto length = static_cast<double>(std::max<int64_t>(1, total - warmup));
    const double done = std::min(1.0, static_cast<double>(step - warmup) / length);
    return peak * (1 + std::cos(std::numbers::pi * done)) / 2;
  }
};

}  // namespace lacuna
