// The draws of augmentation: each is a function of (seed, purpose, epoch, sample, view, transform,
// index), and the same on every machine: no libm, no operation that a compiler may contract.
#pragma once

#include <cmath>
#include <cstdint>

#include "augment/augmentation.h"
#include "base/error.h"
#include "base/random.h"

namespace lacuna {

// Draws' 32 bits of detail: epoch (20 bits) | view (6) | transform (6). The sample is its subject
// (64 bits), and each transform has the index (32 bits) to itself.
inline constexpr uint64_t max_draw_epoch = (1u << 20) - 1;
inline constexpr uint32_t max_draw_view = (1u << 6) - 1;
inline constexpr uint32_t max_draw_transform = (1u << 6) - 1;

// bad_input where an epoch has no draws.
inline void check_epoch(const SampleKey& key) {
  if (key.epoch > max_draw_epoch)
    bad_input("epoch ", key.epoch, " is beyond the ", max_draw_epoch,
              " that augmentation has draws for; start another run with --init-from");
}

constexpr uint32_t draw_detail(uint64_t epoch, uint32_t view, uint32_t transform) {
  return static_cast<uint32_t>(epoch) << 12 | view << 6 | transform;
}

// exp(x) for |x| < 17: Taylor's series for x / 32, squared five times. Relative error below 1e-11.
inline double portable_exp(double x) {
  const double t = x * 0.03125;
  double series = 1.0;
  for (int n = 12; n >= 1; --n) series = std::fma(series * t, 1.0 / n, 1.0);
  for (int n = 0; n < 5; ++n) series *= series;
  return series;
}

// log(x) for x within [e^-8, e^8]: Halley's iteration on portable_exp, started at log(1) = 0.
inline double portable_log(double x) {
  double y = 0;
  for (int n = 0; n < 24; ++n) {
    const double e = portable_exp(y);
    y += 2.0 * ((x - e) / (x + e));
  }
  return y;
}

// The draws of one transform on one view of one sample.
class TransformDraws {
 public:
  TransformDraws(const SampleKey& key, uint32_t view, uint32_t transform,
                 Purpose purpose = Purpose::augmentation)
      : draws_(key.seed, purpose, key.sample, draw_detail(key.epoch, view, transform)) {}

  // True with this probability; certain and impossible things draw nothing.
  bool happens(uint32_t index, double probability) const {
    return probability >= 1 || (probability > 0 && draws_.uniform(index) < probability);
  }
  // Uniform in [low, high).
  double between(uint32_t index, double low, double high) const {
    return std::fma(high - low, draws_.uniform(index), low);
  }
  // Uniform integer in [0, n).
  uint64_t below(uint32_t index, uint64_t n) const { return draws_.below(index, n); }
  // The generator below, for kernels that draw many numbers at once.
  const Draws& stream() const { return draws_; }

 private:
  Draws draws_;
};

}  // namespace lacuna
