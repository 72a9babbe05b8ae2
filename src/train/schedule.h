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

  // Step 0 is the first. A part of a step where steps were of other batches before.
  double rate(double step) const {
    const auto begin = static_cast<double>(warmup);
    if (step < begin) return peak * (step + 1) / begin;
    const auto length = static_cast<double>(std::max<int64_t>(1, total - warmup));
    const double done = std::min(1.0, (step - begin) / length);
    return peak * (1 + std::cos(std::numbers::pi * done)) / 2;
  }
};

}  // namespace lacuna
