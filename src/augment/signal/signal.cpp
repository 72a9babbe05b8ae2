#include "augment/signal/signal.h"

#include <algorithm>
#include <cmath>

#include "augment/draw.h"
#include "base/error.h"
#include "base/text.h"
#include "config/configuration.h"

namespace lacuna {

std::vector<Key> signal_augment_keys() {
  return {
      key::integer("augment.size", "0",
                   "Positions of a view; 0: as many as the sample has. Views are resampled to it.")
          .min(0)
          .max(1 << 24),
      key::numbers("augment.crop", "[0.5, 1.0]",
                   "Least and largest share of the sample's length that a view shows, stretched to "
                   "its size; [1, 1]: no crop.")
          .length(2)
          .above(0)
          .max(1),
      key::number("augment.shift", "0",
                  "The most that a view is moved in time, either way, as a share of the length; "
                  "what lies beyond the ends repeats the last value.")
          .between(0, 1),
      key::number("augment.scale", "0.2",
                  "Strength of the scaling: all values are multiplied by a factor from 1 - s to 1 "
                  "+ s.")
          .min(0)
          .below(1),
      key::number("augment.noise", "0.5", "Probability of Gaussian noise.").between(0, 1),
      key::numbers("augment.noise_sigma", "[0, 0.1]",
                   "Least and largest standard deviation of the noise, as a share of the channel's "
                   "own.")
          .length(2)
          .between(0, 10),
      key::number("augment.channel_drop", "0",
                  "Probability that one channel becomes its mean; two channels or more.")
          .between(0, 1),
      key::number("augment.time_mask", "0",
                  "The most of a view, as a share, that becomes the channels' means, in one span.")
          .between(0, 1),
      key::number("augment.mask", "0.25", "Share of the positions that inpainting hides.")
          .above(0)
          .below(1),
      key::numbers("augment.mask_span", "[0.05, 0.2]",
                   "Least and largest lengths of the hidden spans, as a share of the view.")
          .length(2)
          .above(0)
          .max(1),
  };
}

SignalOptions signal_augment_options(const Configuration& configuration) {
  SignalOptions options;
  options.size = configuration.integer("augment.size");
  options.crop = configuration.interval("augment.crop");
  options.shift = configuration.number("augment.shift");
  options.scale = configuration.number("augment.scale");
  options.noise = configuration.number("augment.noise");
  options.noise_sigma = configuration.interval("augment.noise_sigma");
  options.channel_drop = configuration.number("augment.channel_drop");
  options.time_mask = configuration.number("augment.time_mask");
  options.mask = configuration.number("augment.mask");
  options.mask_span = configuration.interval("augment.mask_span");
  return options;
}

namespace {

// Part of every draw: never reuse or renumber.
enum class Transform : uint32_t {
  crop = 1,
  shift,
  scale,
  noise,
  channel_drop,
  time_mask,
  mask,
  cut
};

TransformDraws draws_of(const SampleKey& key, uint32_t view, Transform transform) {
  return {key, view, static_cast<uint32_t>(transform)};
}

// Where a view lies in its sample.
struct Box {
  double begin, length;  // positions
};

// Reads the box of `sample` [length, channels] into `view` [size, channels] by linear interpolation
// between half-position centres; where it shrinks, the triangle is widened by the factor. Beyond
// the ends the last values repeat. A box of the view's own size at a whole position copies exactly.
void resample(const float* sample, const Shape& shape, const Box& box, int64_t size, float* view) {
  const int64_t length = shape[0], channels = shape[1];
  const double step = box.length / static_cast<double>(size);
  const double support = std::max(1.0, step);
  for (int64_t i = 0; i < size; ++i) {
    const double centre = box.begin + (static_cast<double>(i) + 0.5) * step - 0.5;
    const auto first = static_cast<int64_t>(std::ceil(centre - support));
    const auto last = static_cast<int64_t>(std::floor(centre + support));
    double total = 0;
    for (int64_t j = first; j <= last; ++j)
      total += std::max(0.0, 1 - std::abs(static_cast<double>(j) - centre) / support);
    float* to = view + i * channels;
    std::fill_n(to, channels, 0.f);
    for (int64_t j = first; j <= last; ++j) {
      const double weight =
          std::max(0.0, 1 - std::abs(static_cast<double>(j) - centre) / support) / total;
      if (weight == 0) continue;
      const float* from = sample + std::clamp<int64_t>(j, 0, length - 1) * channels;
      for (int64_t c = 0; c < channels; ++c) to[c] += static_cast<float>(weight) * from[c];
    }
  }
}

class SignalViews : public SignalAugmentation {
 public:
  SignalViews(const SignalShape& shape, int views, const SignalOptions& options,
              const ChannelNormalisation& normalisation, bool random)
      : input_(shape.sample),
        padded_(shape.padded),
        options_(options),
        normalisation_(normalisation),
        random_(random),
        views_(views),
        size_(options.size > 0 ? options.size : shape.sample[0]) {
    LACUNA_CHECK(input_.rank() == 2, input_);
    LACUNA_CHECK(normalisation.mean.size() == static_cast<size_t>(channels()));
    if (padded_ && options.size > 0)
      bad_input("augment.size = ", options.size,
                " stretches views to one size, and samples have several lengths: leave it out; "
                "data.length is the size of the views");
    for (int view = 0; view < views; ++view) {
      outputs_.push_back({concat("view", view), {size_, channels()}, DType::f32});
      if (padded_) outputs_.push_back({concat("view", view, ".mask"), {size_}, DType::f32});
    }
    if (random && options.channel_drop > 0 && channels() < 2)
      bad_input("augment.channel_drop = ", options.channel_drop,
                " needs two channels or more, and samples have one: set it to 0");
  }

  const Shape& input() const override { return input_; }
  const std::vector<OutputField>& outputs() const override { return outputs_; }

  void apply(const float* sample, int64_t length, const SampleKey& key,
             std::span<void* const> to) const override {
    check_epoch(key);
    for (int view = 0; view < views_; ++view) make_view(sample, length, key, view, to);
  }

 protected:
  // Writes the view and, where lengths differ, its mask; returns how many positions count.
  int64_t make_view(const float* sample, int64_t length, const SampleKey& key, int view,
                    std::span<void* const> to) const {
    const auto field = static_cast<size_t>(view) * (padded_ ? 2 : 1);
    const int64_t count = make(sample, length, key, static_cast<uint32_t>(view), true,
                               static_cast<float*>(to[field]));
    if (padded_) {
      auto* mask = static_cast<float*>(to[field + 1]);
      std::fill_n(mask, count, 1.f);
      std::fill_n(mask + count, size_ - count, 0.f);
    }
    return count;
  }

  // `changes`: whether values change too, and not only where the view lies. Returns how many
  // positions count.
  int64_t make(const float* sample, int64_t length, const SampleKey& key, uint32_t view,
               bool changes, float* to) const {
    const int64_t count = padded_ ? cut(sample, length, key, view, to) : size_;
    if (!padded_) resample(sample, {length, channels()}, box(length, key, view), size_, to);
    for (int64_t i = 0; i < count * channels(); ++i) {
      const auto c = static_cast<size_t>(i % channels());
      to[i] = (to[i] - normalisation_.mean[c]) / normalisation_.std[c];
    }
    if (random_ && changes && count > 0) {
      scale(key, view, count, to);
      add_noise(key, view, count, to);
      drop_channel(key, view, count, to);
      mask_time(key, view, count, to);
    }
    std::fill_n(to + count * channels(), (size_ - count) * channels(), 0.f);
    return count;
  }

  const SignalOptions& options() const { return options_; }
  int64_t size() const { return size_; }
  bool padded() const { return padded_; }
  void add_field(OutputField field) { outputs_.push_back(std::move(field)); }

 private:
  int64_t channels() const { return input_[1]; }

  Box box(int64_t positions, const SampleKey& key, uint32_t view) const {
    const auto length = static_cast<double>(positions);
    if (!random_) return {0, length};
    Box box{0, length};
    if (options_.crop[0] < 1) {
      const TransformDraws draws = draws_of(key, view, Transform::crop);
      box.length = length * draws.between(0, options_.crop[0], options_.crop[1]);
      box.begin = draws.between(1, 0, length - box.length);
    }
    if (options_.shift > 0) {
      const double most = options_.shift * length;
      box.begin += draws_of(key, view, Transform::shift).between(0, -most, most);
    }
    return box;
  }

  // A piece of the sample as it is, of whole positions; what lies beyond the ends repeats the last
  // value.
  int64_t cut(const float* sample, int64_t length, const SampleKey& key, uint32_t view,
              float* to) const {
    if (length == 0) return 0;
    const Box piece = box(length, key, view);
    const int64_t wanted = std::max<int64_t>(1, std::llround(piece.length));
    const int64_t count = std::min({wanted, length, size_});
    int64_t begin = std::llround(piece.begin);
    if (random_ && wanted > count)  // longer than a view: any part of the piece
      begin += static_cast<int64_t>(
          draws_of(key, view, Transform::cut).below(0, static_cast<uint64_t>(wanted - count + 1)));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = std::clamp<int64_t>(begin + i, 0, length - 1);
      std::copy_n(sample + from * channels(), channels(), to + i * channels());
    }
    return count;
  }

  void scale(const SampleKey& key, uint32_t view, int64_t count, float* to) const {
    if (options_.scale == 0) return;
    const auto factor = static_cast<float>(
        draws_of(key, view, Transform::scale).between(0, 1 - options_.scale, 1 + options_.scale));
    for (int64_t i = 0; i < count * channels(); ++i) to[i] *= factor;
  }

  void add_noise(const SampleKey& key, uint32_t view, int64_t count, float* to) const {
    const TransformDraws draws = draws_of(key, view, Transform::noise);
    if (!draws.happens(0, options_.noise)) return;
    const double sigma = draws.between(1, options_.noise_sigma[0], options_.noise_sigma[1]);
    for (int64_t i = 0; i < count * channels(); ++i)
      to[i] += static_cast<float>(sigma * draws.stream().normal(static_cast<uint32_t>(i + 2)));
  }

  void drop_channel(const SampleKey& key, uint32_t view, int64_t count, float* to) const {
    const TransformDraws draws = draws_of(key, view, Transform::channel_drop);
    if (!draws.happens(0, options_.channel_drop)) return;
    const auto dropped = static_cast<int64_t>(draws.below(1, static_cast<uint64_t>(channels())));
    for (int64_t i = 0; i < count; ++i) to[i * channels() + dropped] = 0;
  }

  void mask_time(const SampleKey& key, uint32_t view, int64_t count, float* to) const {
    if (options_.time_mask == 0) return;
    const TransformDraws draws = draws_of(key, view, Transform::time_mask);
    const auto length = static_cast<int64_t>(
        draws.between(0, 0, options_.time_mask) * static_cast<double>(count) + 0.5);
    const auto first =
        static_cast<int64_t>(draws.below(1, static_cast<uint64_t>(count - length + 1)));
    std::fill_n(to + first * channels(), length * channels(), 0.f);
  }

  Shape input_;
  bool padded_;
  SignalOptions options_;
  ChannelNormalisation normalisation_;
  bool random_;
  int views_;
  int64_t size_;
  std::vector<OutputField> outputs_;
};

class MaskedSignal final : public SignalViews {
 public:
  MaskedSignal(const SignalShape& shape, const SignalOptions& options,
               const ChannelNormalisation& normalisation)
      : SignalViews(shape, 1, options, normalisation, true),
        has_target_(options.scale > 0 || options.noise > 0 || options.channel_drop > 0 ||
                    options.time_mask > 0) {
    if (size() < 2)
      bad_input(
          "a view of one position cannot be hidden in part: take longer samples, or raise "
          "augment.size");
    if (has_target_) add_field({"target", {size(), shape.sample[1]}, DType::f32});
    add_field({"mask", {size(), 1}, DType::f32});
  }

  void apply(const float* sample, int64_t length, const SampleKey& key,
             std::span<void* const> to) const override {
    check_epoch(key);
    const int64_t count = make_view(sample, length, key, 0, to);
    if (has_target_) make(sample, length, key, 0, false, static_cast<float*>(to[to.size() - 2]));
    draw_mask(TransformDraws(key, 0, static_cast<uint32_t>(Transform::mask), Purpose::mask), count,
              static_cast<float*>(to.back()));
  }

 private:
  // Spans until enough is hidden; the last one ends where it is.
  void draw_mask(const TransformDraws& draws, int64_t count, float* mask) const {
    std::fill_n(mask, size(), 0.f);
    if (count < 2) return;  // of one position there is no part
    int64_t left = std::clamp<int64_t>(std::llround(options().mask * static_cast<double>(count)), 1,
                                       count - 1);
    for (uint32_t span = 0; left > 0; ++span) {
      const double share = draws.between(2 * span, options().mask_span[0], options().mask_span[1]);
      const auto length = std::clamp<int64_t>(
          static_cast<int64_t>(share * static_cast<double>(count) + 0.5), 1, count);
      const auto first = static_cast<int64_t>(
          draws.below(2 * span + 1, static_cast<uint64_t>(count - length + 1)));
      for (int64_t i = first; i < first + length && left > 0; ++i) {
        left -= mask[i] == 0;
        mask[i] = 1;
      }
    }
  }

  bool has_target_;
};

}  // namespace

std::unique_ptr<SignalAugmentation> signal_views(const SignalShape& shape, int views,
                                                 const SignalOptions& options,
                                                 const ChannelNormalisation& normalisation) {
  return std::make_unique<SignalViews>(shape, views, options, normalisation, true);
}

std::unique_ptr<SignalAugmentation> masked_signal(const SignalShape& shape,
                                                  const SignalOptions& options,
                                                  const ChannelNormalisation& normalisation) {
  return std::make_unique<MaskedSignal>(shape, options, normalisation);
}

std::unique_ptr<SignalAugmentation> plain_signal(const SignalShape& shape, int64_t size,
                                                 const ChannelNormalisation& normalisation) {
  SignalOptions options;
  options.size = size;
  return std::make_unique<SignalViews>(shape, 1, options, normalisation, false);
}

}  // namespace lacuna
