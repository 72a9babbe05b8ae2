// Inpainting: Pathak et al., "Context encoders: feature learning by inpainting", CVPR 2016, with
// the reconstruction loss alone. A decoder fills in regions that were hidden from the encoder.
#include "objectives/inpaint.h"

#include <bit>
#include <optional>

#include "ops/elementwise.h"
#include "ops/pooling.h"
#include "ops/shape.h"
#include "ops/squared_error.h"

namespace lacuna {

namespace {

// From the encoder's map back to the image: upsample by two (nearest), convolve, normalise, ReLU,
// halving the channels, until the image's size is reached; then a convolution to its channels.
// Or from the pooled features, out of which a linear layer makes the map first (the paper's fully
// connected bottleneck): the features alone must then hold what was hidden.
class Decoder {
 public:
  // `image` [H, W, C].
  Decoder(Scope scope, const Encoder& encoder, const Shape& image, bool pooled)
      : stages_(static_cast<int>(std::bit_width(static_cast<uint64_t>(encoder.stride() - 1)))),
        map_{halved(image[0], stages_), halved(image[1], stages_), encoder.features()},
        output_(scope / "output", std::max<int64_t>(8, encoder.features() >> stages_), image[2], 3,
                1, true) {
    if (pooled) expand_.emplace(scope / "expand", encoder.features(), map_.count());
    int64_t in = encoder.features();
    for (int stage = 0; stage < stages_; ++stage) {
      const int64_t out = std::max<int64_t>(8, in / 2);
      convolution_.emplace_back(scope / concat("stage", stage, ".conv"), in, out, 3, 1);
      norm_.emplace_back(scope / concat("stage", stage, ".bn"), out);
      in = out;
    }
  }

  // x: the encoder's map, or its pooled features. `shape` [B, H, W, C]: of the image to be made.
  Tensor operator()(Tensor x, const Shape& shape, Recording& recording) const {
    if (expand_) x = reshape((*expand_)(x, recording), map_.behind(shape[0]));
    for (int stage = 0; stage < stages_; ++stage) {
      const int left = stages_ - 1 - stage;
      x = upsample(x, halved(shape[1], left), halved(shape[2], left));
      const auto i = static_cast<size_t>(stage);
      x = norm_[i](convolution_[i](x, recording), recording, true);
    }
    return output_(x, recording);
  }

 private:
  // Sizes on the way are the image's, halved so often and rounded up.
  static int64_t halved(int64_t size, int times) {
    const int64_t step = int64_t{1} << times;
    return (size + step - 1) / step;
  }

  int stages_;
  Shape map_;  // [H', W', features]: what `expand_` makes
  std::optional<Linear> expand_;
  std::vector<Convolution2d> convolution_;
  std::vector<BatchNorm> norm_;
  Convolution2d output_;
};

class Inpaint final : public Objective {
 public:
  explicit Inpaint(const ObjectiveParts& parts)
      : views_(parts.views),
        fraction_(parts.views.augment.mask),
        pooled_(parts.configuration.text("objective.decode") == "features"),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        decoder_(parts.scope / "decoder", *encoder_, parts.views.view(), pooled_) {}

  std::unique_ptr<Recipe> recipe() const override {
    return masked_view(views_.sample, views_.augment, views_.normalisation);
  }

  Tensor loss(const Fields& batch, Recording& recording) const override {
    const Tensor& image = batch.view(0);
    const Tensor& mask = batch["mask"];  // 1 where hidden
    const Tensor shown = hide(image, mask);
    const Tensor seen = pooled_ ? (*encoder_)(shown, recording) : encoder_->map(shown, recording);
    // The view before colour, blur and noise, where it has been changed by them (denoising: Vincent
    // et al. 2008).
    const Tensor& target = batch.contains("target") ? batch["target"] : image;
    const Tensor filled = exact(decoder_(seen, image.shape(), recording), recording);
    // Mean square over the hidden part of the global batch: the same fraction of every image.
    const double pixels =
        static_cast<double>(image.shape().from(1).count() * recording.global_rows());
    return squared_error(filled, exact(target, recording), 1 / (fraction_ * pixels),
                         exact(mask, recording));
  }

  bool spans_batch() const override { return false; }

  Network network(Weights weights) const override {
    require_student(weights, "inpaint");
    return {encoder_.get(), nullptr};
  }

 private:
  ViewOptions views_;
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
