// One view of one sample, from the drawing of its parameters to its row of the batch.
#pragma once

#include <cstddef>

#include "augment/augmentation.h"
#include "augment/image/list.h"

namespace lacuna {

// A view's spec with what follows from it for every sample.
class ViewMaker {
 public:
  // Throws bad_input when the options do not fit the sample.
  ViewMaker(const Shape& sample, const AugmentOptions& options, uint32_t view,
            const Normalisation& normalisation, bool random);

  const ViewSpec& spec() const { return spec_; }
  Shape shape() const { return {spec_.out_height, spec_.out_width, spec_.channels}; }
  size_t scratch_floats() const;
  // Of the kernel that makes this view on a device; channels() <= max_view_channels. `low`, `high`:
  // stored numbers that are the values 0 and 1.
  ViewAttributes attributes(double low, double high) const;

  // All that is random of a view; `turns` counter-clockwise quarters on top of what is drawn.
  ViewDraws draw(const SampleKey& key, uint64_t turns) const;
  // Writes shape().count() floats.
  void make(const float* sample, const ViewDraws& drawn, float* scratch, float* to) const;

 private:
  ViewSpec spec_;
  bool random_;
  std::vector<float> row_mean_, row_inverse_std_;  // of each element of a row of the view
};

}  // namespace lacuna
