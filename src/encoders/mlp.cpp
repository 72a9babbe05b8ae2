#include "encoders/mlp.h"

#include "base/text.h"
#include "nn/layers.h"

namespace lacuna {

namespace {

class MlpEncoder final : public Encoder {
 public:
  MlpEncoder(int64_t in, int64_t width, int64_t depth, Scope scope) : width_(width) {
    for (int64_t layer = 0; layer < depth; ++layer) {
      linear_.emplace_back(scope / concat("layer", layer + 1, ".linear"), in, width, false);
      norm_.emplace_back(scope / concat("layer", layer + 1, ".bn"), width);
      in = width;
    }
  }

  Tensor operator()(const Masked& x, ForwardContext& forward) const override {
    Tensor y = x.values;
    for (size_t layer = 0; layer < linear_.size(); ++layer)
      y = norm_[layer](linear_[layer](y, forward), forward, true);
    return y;
  }
  Masked map(const Masked& x, ForwardContext& forward) const override {
    return (*this)(x, forward);
  }
  int64_t features() const override { return width_; }
  int64_t layers() const override { return static_cast<int64_t>(linear_.size()); }
  int64_t layer_of(std::string_view parameter) const override {
    return number_behind("layer", parameter).value_or(1) - 1;
  }
  int64_t stride() const override { return 1; }

 private:
  int64_t width_;
  std::vector<Linear> linear_;
  std::vector<BatchNorm> norm_;
};

}  // namespace

std::vector<Key> mlp_keys() {
  return {
      key::integer("encoder.width", "256", "Features of each layer, and of the representation.")
          .between(1, 65536),
      key::integer("encoder.depth", "4", "Linear layers of the encoder.").between(1, 128),
  };
}

std::unique_ptr<Encoder> make_mlp(const Configuration& configuration, const Shape& sample,
                                  Scope scope) {
  return std::make_unique<MlpEncoder>(sample[0], configuration.integer("encoder.width"),
                                      configuration.integer("encoder.depth"), scope);
}

}  // namespace lacuna
