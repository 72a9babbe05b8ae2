// What the keys augment.* say, with their defaults. Meaning of each: docs/augmentation.md.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace lacuna {

struct Key;
class Configuration;

using Interval = std::array<double, 2>;  // [low, high]

struct AugmentOptions {
  bool colours = true;         // whether channels are colours, which may be mixed
  int64_t size = 0;            // pixels, edge of the square output; 0: the sample's own size
  Interval crop = {0.2, 1.0};  // share of the sample's area; [1, 1]: no random crop
  Interval crop_ratio = {0.75, 4. / 3};  // width / height of the crop
  double flip = 0.5;                     // probability
  double vertical_flip = 0;              // probability
  double turns = 0;                      // probability of a turn by 0, 90, 180 or 270 degrees
  std::array<double, 4> jitter = {0.4, 0.4, 0.4, 0};  // brightness, contrast, saturation, hue
  double jitter_probability = 0.8;
  double greyscale = 0.2;            // probability
  std::vector<double> blur = {0};    // probability, of view 0, 1, ...; the last holds for the rest
  int64_t blur_kernel = 0;           // pixels, odd; 0: the odd number next to a tenth of the edge
  Interval blur_sigma = {0.1, 2.0};  // pixels
  std::vector<double> solarise = {
      0};  // probability, of view 0, 1, ...; the last holds for the rest
  double solarise_threshold = 0.5;
  double noise = 0;                  // probability
  Interval noise_sigma = {0, 0.05};  // of the range [0, 1]
  double channel_drop = 0;           // probability
  double mask = 0.25;                // share of the pixels that masked_view hides
  Interval mask_edge = {0.1, 0.4};   // edges of its rectangles, as a share of the view's edges
};

// The keys augment.*, for the program's schema.
std::vector<Key> augment_keys();

// The options that they say. Throws bad_input on what a key alone cannot check.
AugmentOptions augment_options(const Configuration& configuration);

}  // namespace lacuna
