// Views of signals: samples [L, C], channels last. All throw bad_input when the options do not fit
// the sample. Views are float32 [size, C], normalised.
//
// Where samples have one length, a view is stretched to its size. Where they have several, it keeps
// their scale of time: a piece of the sample, cut to the size or padded behind with zeros (the
// channels' means), and a field "view0.mask", float32 [size], is 1 where the piece is.
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

class SignalAugmentation : public Augmentation {
 public:
  // Of a sample of `length` positions, 0 or more.
  virtual void apply(const float* sample, int64_t length, const SampleKey& key,
                     std::span<void* const> to) const = 0;
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch&) const override {
    apply(sample, input()[0], key, to);
  }
};

// What views are made from.
struct SignalShape {
  SignalShape(const Shape& of_sample, bool lengths_differ = false)  // NOLINT: usually it is a shape
      : sample(of_sample), padded(lengths_differ) {}
  Shape sample;  // [L, C]; L is the size of the views where lengths differ
  bool padded;   // whether lengths differ
};

// "view0", "view1", …: independent random views of each sample.
std::unique_ptr<SignalAugmentation> signal_views(const SignalShape& shape, int views,
                                                 const SignalOptions& options,
                                                 const ChannelNormalisation& normalisation);

// "view0"; "target", the same view before scaling, noise and what is dropped (only where options
// change any of these); "mask", float32 [size, 1]: 1 on exactly round(mask * length) positions, in
// random spans, of the length of the view's piece.
std::unique_ptr<SignalAugmentation> masked_signal(const SignalShape& shape,
                                                  const SignalOptions& options,
                                                  const ChannelNormalisation& normalisation);

// "view0" without anything random: the whole sample, resampled to `size` positions (0: as many as
// it has); of several lengths, its beginning.
std::unique_ptr<SignalAugmentation> plain_signal(const SignalShape& shape, int64_t size,
                                                 const ChannelNormalisation& normalisation);

}  // namespace lacuna
