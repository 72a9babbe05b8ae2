#include "encoders/resnet.h"

#include <optional>

#include "nn/convolution.h"
#include "nn/layers.h"
#include "ops/masks.h"
#include "ops/pooling.h"

namespace lacuna {

namespace {

// What an undefined mask is, too.
Tensor strided(const Tensor& mask, int64_t stride) {
  return mask.defined() && stride > 1 ? strided_mask(mask, stride) : mask;
}

struct ConvolutionSize {
  int64_t out, kernel, stride;
};

// Convolutions, each normalised, around which the input, brought to the output's shape where it
// differs, is added before the last ReLU.
class Residual {
 public:
  Residual(Scope scope, int axes, int64_t in, const std::vector<ConvolutionSize>& convolutions) {
    int64_t channels = in;
    int64_t stride = 1;
    for (const ConvolutionSize& c : convolutions) {
      const std::string number = std::to_string(convolutions_.size() + 1);
      convolutions_.emplace_back(scope / ("conv" + number),
                                 even_convolution(axes, channels, c.out, c.kernel, c.stride));
      norms_.emplace_back(scope / ("bn" + number), c.out);
      strides_.push_back(c.stride);
      channels = c.out;
      stride *= c.stride;
    }
    if (stride != 1 || in != channels) {
      shortcut_.emplace(scope / "downsample.0", even_convolution(axes, in, channels, 1, stride));
      shortcut_norm_.emplace(scope / "downsample.1", channels);
    }
  }

  Masked operator()(const Masked& x, ForwardContext& forward) const {
    const size_t last = convolutions_.size() - 1;
    Masked hidden = x;
    for (size_t i = 0; i < last; ++i) {
      const Tensor mask = strided(hidden.mask, strides_[i]);
      hidden = {norms_[i](convolutions_[i](hidden.values, forward), forward, true, {}, mask), mask};
    }
    const Tensor mask = strided(hidden.mask, strides_[last]);
    const Tensor residual =
        shortcut_ ? (*shortcut_norm_)((*shortcut_)(x.values, forward), forward, false, {}, mask)
                  : x.values;
    return {
        norms_[last](convolutions_[last](hidden.values, forward), forward, true, residual, mask),
        mask};
  }

 private:
  std::vector<ConvolutionLayer> convolutions_;
  std::vector<BatchNorm> norms_;
  std::vector<int64_t> strides_;
  std::optional<ConvolutionLayer> shortcut_;
  std::optional<BatchNorm> shortcut_norm_;
};

class ResNet final : public Encoder {
 public:
  ResNet(const ResNetOptions& options, int axes, int64_t channels, Scope scope)
      : options_(options),
        conv1_(scope / "conv1",
               even_convolution(axes, channels, options.width, options.imagenet_stem ? 7 : 3,
                                options.imagenet_stem ? 2 : options.stem_stride)),
        bn1_(scope / "bn1", options.width),
        features_(options.width) {
    for (size_t stage = 0; stage < options.blocks.size(); ++stage) {
      const int64_t width = options.width << stage;
      for (int64_t block = 0; block < options.blocks[stage]; ++block) {
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        std::vector<ConvolutionSize> sizes = {{width, 3, stride}, {width, 3, 1}};
        if (options.bottleneck) sizes = {{width, 1, 1}, {width, 3, stride}, {4 * width, 1, 1}};
        blocks_.emplace_back(scope / concat("layer", stage + 1, ".", block), axes, features_,
                             sizes);
        features_ = sizes.back().out;
      }
    }
  }

  Masked map(const Masked& x, ForwardContext& forward) const override {
    const Tensor seen = x.mask.defined() ? keep(x.values, x.mask) : x.values;
    const Tensor mask = strided(x.mask, options_.imagenet_stem ? 2 : options_.stem_stride);
    Masked y{bn1_(conv1_(seen, forward), forward, true, {}, mask), mask};
    if (options_.imagenet_stem) {
      // Behind a sample's end there are zeros, below none of the values that ReLU leaves.
      y = {max_pool(y.values, 3, 2, 1), strided(mask, 2)};
      if (mask.defined()) y.values = keep(y.values, y.mask);
    }
    for (const Residual& block : blocks_) y = block(y, forward);
    return y;
  }
  Tensor operator()(const Masked& x, ForwardContext& forward) const override {
    return pooled(map(x, forward));
  }
  int64_t features() const override { return features_; }
  int64_t stride() const override {
    return 8 * (options_.imagenet_stem ? 4 : options_.stem_stride);
  }
  int64_t layers() const override { return 1 + static_cast<int64_t>(blocks_.size()); }
  int64_t layer_of(std::string_view parameter) const override {
    int64_t before = 1;
    for (size_t stage = 0; stage < options_.blocks.size(); ++stage) {
      const auto block = number_behind(concat("layer", stage + 1, "."), parameter);
      if (block) return before + *block;
      before += options_.blocks[stage];
    }
    return 0;
  }

 private:
  ResNetOptions options_;
  ConvolutionLayer conv1_;
  BatchNorm bn1_;
  int64_t features_;
  std::vector<Residual> blocks_;
};

}  // namespace

std::vector<Key> resnet_keys() {
  return {
      key::integer("encoder.width", "64",
                   "Channels of the first stage; the representation has 8 times as many, "
                   "resnet50's 32 times.")
          .between(1, 1024),
      key::one_of(
          "encoder.stem", {"small", "imagenet"}, "small",
          "First layers: 3x3 for images below about 100 pixels, or 7x7 stride 2 and max pooling."),
      key::integer(
          "encoder.stem_stride", "1",
          "Stride of the small stem's convolution; 2 makes the encoder four times as fast.")
          .between(1, 2),
  };
}

ResNetOptions resnet_blocks(std::string_view name) {
  if (name == "resnet18") return {};
  LACUNA_CHECK(name == "resnet34" || name == "resnet50", name);
  return {.blocks = {3, 4, 6, 3}, .bottleneck = name == "resnet50"};
}

std::unique_ptr<Encoder> make_resnet(const Configuration& configuration, const Shape& sample,
                                     Scope scope) {
  const std::string& name = configuration.text("encoder.name");
  ResNetOptions options = resnet_blocks(name);
  options.width = configuration.integer("encoder.width");
  options.imagenet_stem = configuration.is("encoder.stem", "imagenet");
  options.stem_stride = configuration.integer("encoder.stem_stride");
  return make_resnet(options, sample.rank() - 1, sample[-1], scope);
}

std::unique_ptr<Encoder> make_resnet(const ResNetOptions& options, int axes, int64_t channels,
                                     Scope scope) {
  return std::make_unique<ResNet>(options, axes, channels, scope);
}

}  // namespace lacuna
