#include "encoders/resnet.h"

#include <array>
#include <optional>

#include "nn/layers.h"
#include "ops/pooling.h"

namespace lacuna {

namespace {

// Two 3x3 convolutions around which the input, brought to the output's shape where it differs, is
// added before the last ReLU.
class BasicBlock {
 public:
  BasicBlock(Scope scope, int64_t in, int64_t out, int64_t stride)
      : conv1_(scope / "conv1", in, out, 3, stride),
        bn1_(scope / "bn1", out),
        conv2_(scope / "conv2", out, out, 3, 1),
        bn2_(scope / "bn2", out) {
    if (stride != 1 || in != out) {
      shortcut_.emplace(scope / "downsample.0", in, out, 1, stride);
      shortcut_norm_.emplace(scope / "downsample.1", out);
    }
  }

  Tensor operator()(const Tensor& x, Recording& recording) const {
    const Tensor hidden = bn1_(conv1_(x, recording), recording, true);
    const Tensor residual =
        shortcut_ ? (*shortcut_norm_)((*shortcut_)(x, recording), recording) : x;
    return bn2_(conv2_(hidden, recording), recording, true, residual);
  }

 private:
  Convolution2d conv1_;
  BatchNorm bn1_;
  Convolution2d conv2_;
  BatchNorm bn2_;
  std::optional<Convolution2d> shortcut_;
  std::optional<BatchNorm> shortcut_norm_;
};

class ResNet18 final : public Encoder {
 public:
  ResNet18(const ResNetOptions& options, int64_t channels, Scope scope)
      : options_(options),
        conv1_(scope / "conv1", channels, options.width, options.imagenet_stem ? 7 : 3,
               options.imagenet_stem ? 2 : options.stem_stride),
        bn1_(scope / "bn1", options.width) {
    int64_t in = options.width;
    for (int64_t stage = 0; stage < 4; ++stage) {
      const int64_t out = options.width << stage;
      for (int64_t block = 0; block < 2; ++block) {
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        blocks_.emplace_back(scope / concat("layer", stage + 1, ".", block), in, out, stride);
        in = out;
      }
    }
  }

  Tensor map(const Tensor& x, Recording& recording) const override {
    Tensor y = bn1_(conv1_(x, recording), recording, true);
    if (options_.imagenet_stem) y = max_pool(y, 3, 2, 1);
    for (const BasicBlock& block : blocks_) y = block(y, recording);
    return y;
  }
  Tensor operator()(const Tensor& x, Recording& recording) const override {
    return average_pool(map(x, recording));
  }
  int64_t features() const override { return options_.width * 8; }
  int64_t stride() const override {
    return 8 * (options_.imagenet_stem ? 4 : options_.stem_stride);
  }

 private:
  ResNetOptions options_;
  Convolution2d conv1_;
  BatchNorm bn1_;
  std::vector<BasicBlock> blocks_;
};

}  // namespace

std::vector<Key> resnet_keys() {
  return {
      key::integer("encoder.width", "64",
                   "Channels of the first stage; the representation has eight times as many.")
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

std::unique_ptr<Encoder> make_resnet18(const Configuration& configuration, const Shape& sample,
                                       Scope scope) {
  if (sample.rank() != 3) {
    bad_input("encoder resnet18 takes images [height, width, channels], but a sample is ", sample,
              ": choose another encoder.name or data.dataset");
  }
  const ResNetOptions options{.width = configuration.integer("encoder.width"),
                              .imagenet_stem = configuration.is("encoder.stem", "imagenet"),
                              .stem_stride = configuration.integer("encoder.stem_stride")};
  return make_resnet18(options, sample[2], scope);
}

std::unique_ptr<Encoder> make_resnet18(const ResNetOptions& options, int64_t channels,
                                       Scope scope) {
  return std::make_unique<ResNet18>(options, channels, scope);
}

}  // namespace lacuna
