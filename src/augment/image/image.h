// Recipes for images: samples [H, W, C] channels-last, or [H, W] with one channel. All of them
// throw bad_input when the options do not fit the sample. Views are float32 [h, w, C] with h = w =
// options.size, or the sample's own height and width, normalised.
#pragma once

#include <memory>

#include "augment/augmentation.h"
#include "augment/image/options.h"
#include "augment/image/view_spec.h"

namespace lacuna {

// "view0", "view1", ...: `views` independent random views of each sample (SimCLR, BYOL).
std::unique_ptr<Augmentation> image_views(const Shape& sample, int views,
                                          const AugmentOptions& options,
                                          const Normalisation& normalisation);

// "view0", turned counter-clockwise by "rotation" (int64 [], 0 to 3) x 90 degrees after all other
// transforms (Gidaris et al. 2018). Square views only; options.turns and vertical_flip must be 0,
// since they would contradict the label.
std::unique_ptr<Augmentation> rotated_view(const Shape& sample, const AugmentOptions& options,
                                           const Normalisation& normalisation);

// "view0", whole; "target", the same view before colour, blur and noise (only where options change
// any of these); and "mask", float32 [h, w, 1]: 1 where the objective must hide the view, on
// exactly round(options.mask * h * w) pixels, in random rectangles (Pathak et al. 2016, random
// regions).
std::unique_ptr<Augmentation> masked_view(const Shape& sample, const AugmentOptions& options,
                                          const Normalisation& normalisation);

// "view0" of masked_view(), with its numbers as they are: not normalised, and only the box, flips
// and turns are made.
std::unique_ptr<Augmentation> geometry_view(const Shape& sample, const AugmentOptions& options);

// "view0" without anything random, for embedding and evaluation: the centred box with the view's
// proportions, resized. `size` as AugmentOptions::size.
std::unique_ptr<Augmentation> plain_view(const Shape& sample, int64_t size,
                                         const Normalisation& normalisation);

}  // namespace lacuna
