// Augmentation: what is made of one decoded sample: views, a label that the transform makes, a
// mask. Samples are dense arrays of floats; what they mean is known to those who implement it.
#pragma once

#include <span>
#include <vector>

#include "data/load/recipe.h"

namespace lacuna {

class DrawnViews;  // augment/image/drawn_views.h

class Augmentation {
 public:
  virtual ~Augmentation() = default;

  // The same in two halves, the second of which a device can do; nullptr where there are none.
  virtual const DrawnViews* drawn() const { return nullptr; }

  // The sample's shape that it was made for ([H, W, C], [L, C], [D]).
  virtual const Shape& input() const = 0;

  // The fields that apply() writes, in this order.
  virtual const std::vector<OutputField>& outputs() const = 0;

  // Makes one row. `sample`: input().count() floats, row-major, not changed. `to`: as Recipe::make
  // has it. Thread-safe; allocates nothing once `scratch` has grown. The result is a function of
  // the sample, the key and the augmentation only. Throws bad_input when key.epoch is out of range.
  virtual void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
                     Scratch& scratch) const = 0;
};

}  // namespace lacuna
