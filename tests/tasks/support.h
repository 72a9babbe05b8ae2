// Labelled points around one centre a class.
#pragma once

#include "base/random.h"
#include "tasks/features.h"

namespace lacuna::testing {

inline Features clusters(int64_t count, int64_t dimension, int64_t classes, double spread,
                         uint64_t seed) {
  Features made{HostTensor(DType::f32, {count, dimension}), {}};
  const Draws centres(7, Purpose::test, 0);
  const Draws noise(seed, Purpose::test, 0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % classes;
    made.labels.push_back(label);
    for (int64_t j = 0; j < dimension; ++j) {
      const double centre = centres.normal(static_cast<uint32_t>(label * dimension + j));
      const double away = noise.normal(static_cast<uint32_t>(i * dimension + j));
      made.values.as<float>()[static_cast<size_t>(i * dimension + j)] =
          static_cast<float>(centre + spread * away);
    }
  }
  return made;
}

}  // namespace lacuna::testing
