// ViewSpec: the options of one view, resolved for one shape of sample. Made once, read by all
// threads.
#pragma once

#include <cstdint>
#include <vector>

#include "augment/image/options.h"
#include "base/shape.h"

namespace lacuna {

// Applied to each view last: (x - mean[c]) / std[c]. One value per channel, in units of [0, 1].
struct Normalisation {
  std::vector<float> mean, std;
};

struct ViewSpec {
  AugmentOptions options;
  uint32_t view = 0;
  double blur = 0, solarise = 0;  // probabilities of this view
  int64_t height = 0, width = 0;  // of the sample
  int64_t channels = 0;
  int64_t out_height = 0, out_width = 0;
  int64_t blur_radius = 0;  // pixels
  Normalisation normalisation;
};

}  // namespace lacuna
