#include "encoders/fcn.h"

#include <array>

#include "base/text.h"
#include "nn/convolution.h"
#include "nn/layers.h"
#include "ops/masks.h"
#include "ops/tokens.h"

namespace lacuna {

namespace {

constexpr std::array<int64_t, 3> kernels = {8, 5, 3};

class Fcn final : public Encoder {
 public:
  Fcn(int64_t channels, int64_t width, Scope scope) : width_(width) {
    const std::array<int64_t, 3> widths = {width, 2 * width, width};
    for (size_t block = 0; block < kernels.size(); ++block) {
      convolutions_.emplace_back(scope / concat("conv", block + 1),
                                 even_convolution(1, channels, widths[block], kernels[block]));
      norms_.emplace_back(scope / concat("bn", block + 1), widths[block]);
      channels = widths[block];
    }
  }

  Masked map(const Masked& x, ForwardContext& forward) const override {
    Tensor y = x.mask.defined() ? keep(x.values, x.mask) : x.values;
    for (size_t block = 0; block < kernels.size(); ++block) {
      // A kernel of 8 has 3 zeros before the signal and 4 behind it: one more than on both sides.
      if (kernels[block] % 2 == 0) y = place_tokens(y, 0, y.shape()[1] + 1);
      y = norms_[block](convolutions_[block](y, forward), forward, true, {}, x.mask);
    }
    return {y, x.mask};
  }
  Tensor operator()(const Masked& x, ForwardContext& forward) const override {
    return pooled(map(x, forward));
  }
  int64_t features() const override { return width_; }
  int64_t stride() const override { return 1; }
  int64_t layers() const override { return static_cast<int64_t>(kernels.size()); }
  int64_t layer_of(std::string_view parameter) const override {
    const auto norm = number_behind("bn", parameter);
    return (norm ? *norm : number_behind("conv", parameter).value_or(1)) - 1;
  }

 private:
  int64_t width_;
  std::vector<ConvolutionLayer> convolutions_;
  std::vector<BatchNorm> norms_;
};

}  // namespace

std::vector<Key> fcn_keys() {
  return {
      key::integer("encoder.width", "128",
                   "Channels of the first and the last convolution, and of the representation; the "
                   "second convolution has twice as many.")
          .between(1, 1024),
  };
}

std::unique_ptr<Encoder> make_fcn(const Configuration& configuration, const Shape& sample,
                                  Scope scope) {
  return std::make_unique<Fcn>(sample[-1], configuration.integer("encoder.width"), scope);
}

}  // namespace lacuna
