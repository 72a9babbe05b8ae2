// Inpainting: Pathak et al., "Context encoders: feature learning by inpainting", CVPR 2016, with
// the reconstruction loss alone. A decoder fills in regions that were hidden from the encoder.
#include "objectives/inpaint.h"

#include <bit>
#include <optional>

#include "nn/convolution.h"
#include "nn/loss.h"
#include "ops/elementwise.h"
#include "ops/masks.h"
#include "ops/pooling.h"
#include "ops/shape.h"
#include "ops/squared_error.h"

namespace lacuna {

namespace {

// From the encoder's map back to the view: upsample by two (nearest), convolve, normalise, ReLU,
// halving the channels, until the view's size is reached; then a convolution to its channels. Or
// from the pooled features, out of which a linear layer makes the map first (the paper's fully
// connected bottleneck): the features alone must then hold what was hidden. A vector, which has no
// spatial axes, is a linear layer of the features.
class Decoder {
 public:
  // `view` [spatial…, C].
  Decoder(Scope scope, const Encoder& encoder, const Shape& view, bool pooled)
      : axes_(view.rank() - 1) {
    if (axes_ == 0) {
      values_.emplace(scope / "output", encoder.features(), view[0]);
      return;
    }
    stages_ = static_cast<int>(std::bit_width(static_cast<uint64_t>(encoder.stride() - 1)));
    map_ = halved(view.slice(0, axes_), stages_);
    const int64_t left =
        stages_ == 0 ? encoder.features() : std::max<int64_t>(8, encoder.features() >> stages_);
    ConvolutionShape last = even_convolution(axes_, left, view[-1], 3);
    last.bias = true;
    output_.emplace(scope / "output", last);
    if (pooled)
      expand_.emplace(scope / "expand", encoder.features(), map_.count() * encoder.features());
    int64_t in = encoder.features();
    for (int stage = 0; stage < stages_; ++stage) {
      const int64_t out = std::max<int64_t>(8, in / 2);
      convolution_.emplace_back(scope / concat("stage", stage, ".conv"),
                                even_convolution(axes_, in, out, 3));
      norm_.emplace_back(scope / concat("stage", stage, ".bn"), out);
      in = out;
    }
  }

  // x: the encoder's map, or its pooled features. `like` [B, spatial…, C]: of the shape, and with
  // the mask, of what is to be made.
  Tensor operator()(Tensor x, const Masked& like, ForwardContext& forward) const {
    const Shape& shape = like.values.shape();
    if (values_) return (*values_)(x, forward);
    if (expand_) {
      const int64_t features = x.shape()[-1];
      x = reshape((*expand_)(x, forward), with_channels(map_, features).behind(shape[0]));
    }
    for (int stage = 0; stage < stages_; ++stage) {
      const int left = stages_ - 1 - stage;
      x = upsampled(x, halved(shape.slice(1, axes_ + 1), left));
      const auto i = static_cast<size_t>(stage);
      const Tensor mask =
          like.mask.defined() ? strided_mask(like.mask, int64_t{1} << left) : Tensor();
      if (mask.defined()) x = keep(x, mask);
      x = norm_[i](convolution_[i](x, forward), forward, true, {}, mask);
    }
    return (*output_)(x, forward);
  }

 private:
  // Sizes on the way are the view's, halved so often and rounded up.
  static Shape halved(Shape sizes, int times) {
    const int64_t step = int64_t{1} << times;
    for (int axis = 0; axis < sizes.rank(); ++axis)
      sizes.set(axis, (sizes[axis] + step - 1) / step);
    return sizes;
  }
  // To these sizes; a signal [B, L, C] as an image of one row.
  static Tensor upsampled(const Tensor& x, const Shape& sizes) {
    if (sizes.rank() == 2) return upsample(x, sizes[0], sizes[1]);
    const Shape& s = x.shape();
    const Tensor row = upsample(reshape(x, {s[0], 1, s[1], s[2]}), 1, sizes[0]);
    return reshape(row, {s[0], sizes[0], s[2]});
  }
  static Shape with_channels(const Shape& spatial, int64_t channels) {
    std::vector<int64_t> sizes(spatial.sizes().begin(), spatial.sizes().end());
    sizes.push_back(channels);
    return Shape(std::span<const int64_t>(sizes));
  }

  int axes_;
  int stages_ = 0;
  Shape map_;  // [spatial…'] of what `expand_` makes
  std::optional<Linear> expand_;
  std::vector<ConvolutionLayer> convolution_;
  std::vector<BatchNorm> norm_;
  std::optional<ConvolutionLayer> output_;
  std::optional<Linear> values_;
};

// [.., C] as it is; a vector [B, D] as D positions of one channel.
Tensor positions(const Tensor& x) {
  const Shape& s = x.shape();
  return s.rank() == 2 ? reshape(x, {s[0], s[1], 1}) : x;
}

class Inpaint final : public Objective {
 public:
  explicit Inpaint(const ObjectiveParts& parts)
      : modality_(parts.modality),
        fraction_(parts.modality.masked_share()),
        pooled_(parts.configuration.text("objective.decode") == "features"),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        decoder_(parts.scope / "decoder", *encoder_, parts.modality.view(), pooled_) {}

  RecipePointer recipe() const override { return modality_.masked(); }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    const Masked seen_whole = batch.masked_view(0);
    const Tensor& view = seen_whole.values;
    const Tensor mask = positions(batch["mask"]);  // 1 where hidden
    const Tensor shown = reshape(hide(positions(view), mask), view.shape());
    const Masked input{shown, seen_whole.mask};
    const Tensor seen =
        pooled_ ? (*encoder_)(input, forward) : encoder_->map(input, forward).values;
    // What the view is made from (the view before colour, blur and noise: denoising, Vincent et al.
    // 2008), where it differs.
    const Tensor& target = batch.contains("target") ? batch["target"] : view;
    const Tensor filled = positions(exact(decoder_(seen, seen_whole, forward), forward));
    const Tensor wanted = positions(exact(target, forward));
    if (batch.contains("counted"))  // some numbers are missing
      return loss_of_counted(filled, wanted, exact(batch["counted"], forward), forward);
    const Tensor hidden = exact(mask, forward);
    if (seen_whole.mask.defined()) {  // samples have several lengths, and so have hidden parts
      const auto channels = static_cast<double>(filled.shape()[-1]);
      return loss_of_means({{.numerator = squared_error(filled, wanted, 1 / channels, hidden),
                             .denominator = squared_norm({hidden})}},
                           forward);
    }
    // Mean square over the hidden part of the global batch: the same fraction of every sample.
    const double values = static_cast<double>(view.shape().from(1).count() * forward.global_rows());
    return squared_error(filled, wanted, 1 / (fraction_ * values), hidden);
  }

  // Mean square over the numbers that count, of the global batch.
  static Tensor loss_of_counted(const Tensor& filled, const Tensor& wanted, const Tensor& counted,
                                ForwardContext& forward) {
    const auto each = [](const Tensor& x) {
      const Shape& s = x.shape();
      return reshape(x, {s[0], s.from(1).count(), 1});
    };
    const Tensor weights = each(counted);
    return loss_of_means({{.numerator = squared_error(each(filled), each(wanted), 1, weights),
                           .denominator = squared_norm({weights})}},
                         forward);
  }

  bool spans_batch() const override { return false; }

  std::vector<Output> outputs() const override { return outputs_of("", *encoder_); }

 private:
  const Modality& modality_;
  double fraction_;
  bool pooled_;
  std::unique_ptr<Encoder> encoder_;
  Decoder decoder_;
};

}  // namespace

std::vector<Key> inpaint_keys() {
  return {
      key::one_of(
          "objective.decode", {"map", "features"}, "map",
          "What the decoder fills in the hidden part from: the encoder's map, or its pooled "
          "features alone, which then hold more of the whole image."),
  };
}

std::unique_ptr<Objective> make_inpaint(const ObjectiveParts& parts) {
  return std::make_unique<Inpaint>(parts);
}

}  // namespace lacuna
