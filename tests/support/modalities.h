// Modalities without files: of samples that tests draw, and hand over as the floats that they are.
#pragma once

#include "modalities/image.h"
#include "modalities/signal.h"
#include "modalities/vector.h"

namespace lacuna::testing {

// The field "sample" of a data set that nobody opens.
inline Field floats(const Shape& shape) {
  return {.name = "sample", .path = "/sample", .dtype = DType::f32, .shape = shape};
}

// Values in [0, 1] about 0.5.
inline ArrayValues values_of(const Shape& sample, double deviation = 0.25) {
  const auto channels = static_cast<size_t>(sample[-1]);
  return {Interpretation(floats(sample), Channels::last, 0, 1), std::vector<double>(channels, 0.5),
          std::vector<double>(channels, deviation)};
}

// [H, W, C]
inline ImageModality images(const Shape& sample, const AugmentOptions& augment = {}) {
  return {values_of(sample), augment};
}

// [L, C]; `padded`: of several lengths, L is what they are cut or padded to.
inline SignalModality signals(const Shape& sample, const SignalOptions& augment = {},
                              bool padded = false) {
  return {values_of(sample), augment, padded};
}

// [D]; seven samples of marginals.
inline VectorModality vectors(int64_t features, const VectorOptions& augment = {}) {
  std::vector<double> marginals;
  const Draws draws(11, Purpose::test, 0);
  for (uint32_t i = 0; i < 7 * static_cast<uint32_t>(features); ++i)
    marginals.push_back(draws.uniform(i));
  return {values_of({features}), std::move(marginals), augment};
}

}  // namespace lacuna::testing
