// Views of signals: samples [L, C], channels last. All throw bad_input when the options do not fit
// the sample. Views are float32 [length, C], normalised.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "augment/augmentation.h"

namespace lacuna {

struct Key;
class Configuration;

struct SignalOptions {
  int64_t size = 0;                              // positions of a view; 0: the sample's own length
  std::array<double, 2> crop = {0.5, 1};         // share of the sample's length; [1, 1]: none
  double shift = 0;                              // most, either way, as a share of the length
  double scale = 0.2;                            // strength s: a factor in [1 - s, 1 + s]
  double noise = 0.5;                            // probability
  std::array<double, 2> noise_sigma = {0, 0.1};  // in standard deviations of a channel
  double channel_drop = 0;                       // probability that one channel becomes its mean
  double time_mask = 0;  // most, as a share of the view: a span becomes the mean
  double mask = 0.25;    // share of the positions that the objective hides
  std::array<double, 2> mask_span = {0.05, 0.2};  // lengths of its spans, as a share of the view
};

// augment.*, of data.kind = "signal".
std::vector<Key> signal_augment_keys();
SignalOptions signal_augment_options(const Configuration& configuration);

// Of each channel, in units of the sample's values.
struct ChannelNormalisation {
  std::vector<float> mean, std;
};

// "view0", "view1", …: independent random views of each sample.
std::unique_ptr<Augmentation> signal_views(const Shape& sample, int views,
                                           const SignalOptions& options,
                                           const ChannelNormalisation& normalisation);

// "view0"; "target", the same view before scaling, noise and what is dropped (only where options
// change any of these); "mask", float32 [length, 1]: 1 on exactly round(mask * length) positions,
// in random spans.
std::unique_ptr<Augmentation> masked_signal(const Shape& sample, const SignalOptions& options,
                                            const ChannelNormalisation& normalisation);

// "view0" without anything random: the whole sample, resampled to `size` positions.
std::unique_ptr<Augmentation> plain_signal(const Shape& sample, int64_t size,
                                           const ChannelNormalisation& normalisation);

}  // namespace lacuna
