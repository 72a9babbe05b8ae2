// One view of one sample, from the drawing of its parameters to its row of the batch.
#pragma once

#include <cstddef>

#include "augment/list.h"
#include "augment/recipe.h"

namespace lacuna {

// A view's plan with what follows from it for every sample.
class ViewMaker {
 public:
  // Throws bad_input when the options do not fit the sample.
  ViewMaker(const Shape& sample, const AugmentOptions& options, uint32_t view,
            const Normalisation& normalisation, bool random);

  const ViewPlan& plan() const { return plan_; }
  Shape shape() const { return {plan_.out_height, plan_.out_width, plan_.channels}; }
  size_t scratch_floats() const;

  // Writes shape().count() floats; `turns` counter-clockwise quarters on top of what is drawn.
  void make(const float* sample, const SampleKey& key, uint64_t turns, float* scratch,
            float* to) const;

 private:
  ViewPlan plan_;
  bool random_;
  std::vector<float> row_mean_, row_inverse_std_;  // of each element of a row of the view
};

}  // namespace lacuna
