#include "encoders/vit.h"

#include <cmath>

#include "nn/transformer.h"
#include "ops/convolution.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"
#include "ops/shape.h"
#include "ops/tokens.h"

namespace lacuna {

namespace {

// x [B, H, W, C] -> [B, H / P, W / P, D]: a linear layer on patches of P x P pixels, written as the
// convolution that it is.
class PatchEmbedding {
 public:
  PatchEmbedding(Scope scope, int64_t channels, int64_t features, int64_t patch)
      : weight_(scope
                    .normal("weight", {features, channels, patch, patch},
                            std::sqrt(1.0 / static_cast<double>(channels * patch * patch)))
                    .name_axes("out_channel, in_channel, row, column")),
        bias_(scope.constant("bias", {features}, 0).name_axes("channel")),
        options_{.stride = {patch}} {}
  Tensor operator()(const Tensor& x) const {
    return convolution(x, weight_.tensor(), bias_.tensor(), options_);
  }

 private:
  State& weight_;
  State& bias_;
  ConvolutionOptions options_;
};

class Vit final : public Encoder {
 public:
  Vit(const VitOptions& options, const Shape& sample, Scope scope)
      : options_(options),
        rows_(sample[0] / options.patch),
        columns_(sample[1] / options.patch),
        patches_(scope / "patch_embed.proj", sample[2], options.features, options.patch),
        class_token_(options.class_token ? &embedding(scope, "cls_token", 1) : nullptr),
        positions_(options.sine_positions ? sines(scope)
                                          : embedding(scope, "pos_embed", first() + length())),
        norm_(scope / "norm", options.features) {
    LACUNA_CHECK(sample[0] % options.patch == 0 && sample[1] % options.patch == 0 &&
                     options.features % options.heads == 0 && options.depth >= 1 &&
                     (!options.sine_positions || options.features % 4 == 0),
                 "a vision transformer of ", options.features, " features, ", options.heads,
                 " heads, ", options.depth, " blocks and patches of ", options.patch, " for ",
                 sample);
    for (int64_t i = 0; i < options.depth; ++i) {
      const double drop = options.depth == 1 ? options.drop_path
                                             : options.drop_path * static_cast<double>(i) /
                                                   static_cast<double>(options.depth - 1);
      blocks_.emplace_back(scope / concat("blocks.", i), options.features, options.heads, drop);
    }
  }

  Masked map(const Masked& x, ForwardContext& forward) const override {
    const Tensor patches = take_tokens(tokens(x.values, forward), first(), length());
    return reshape(patches, {x.values.shape()[0], rows_, columns_, options_.features});
  }
  Tensor operator()(const Masked& x, ForwardContext& forward) const override {
    const Tensor y = tokens(x.values, forward);
    return options_.class_token ? flatten(take_tokens(y, 0, 1)) : average_pool(y);
  }
  int64_t features() const override { return options_.features; }
  int64_t stride() const override { return options_.patch; }
  int64_t layers() const override { return 1 + options_.depth; }
  int64_t layer_of(std::string_view parameter) const override {
    if (const auto block = number_behind("blocks.", parameter)) return 1 + *block;
    return parameter.starts_with("norm.") ? layers() : 0;
  }

 private:
  int64_t length() const { return rows_ * columns_; }
  int64_t first() const { return options_.class_token ? 1 : 0; }  // patch

  // All tokens after the last norm, [B, first + length, D].
  Tensor tokens(const Tensor& image, ForwardContext& forward) const {
    const int64_t d = options_.features;
    Tensor x = reshape(patches_(image), {image.shape()[0], length(), d});
    if (class_token_) x = prepend_token(x, reshape(class_token_->tensor(), {d}));
    x = add_to_each(x, reshape(positions_.tensor(), {first() + length(), d}));
    for (const TransformerBlock& block : blocks_) x = block(x, forward);
    return norm_(x);
  }

  static constexpr const char* token_axes = "one, token, feature";

  // Learned vectors, one per token, [1, count, D]; not decayed, as DeiT's.
  State& embedding(Scope scope, const std::string& name, int64_t count) const {
    State& state = scope.normal(name, {1, count, options_.features}, 0.02);
    state.name_axes(token_axes).exempt_from_decay();
    return state;
  }
  State& sines(Scope scope) const {
    State& state =
        scope.constant("pos_embed", {1, first() + length(), options_.features}, 0, Role::buffer);
    state.name_axes(token_axes);
    const std::vector<double> of_patches = sine_positions(rows_, columns_, options_.features);
    const int64_t before = first() * options_.features;  // the class token has none
    state.fill(
        [&](int64_t i) { return i < before ? 0 : of_patches[static_cast<size_t>(i - before)]; });
    return state;
  }

  VitOptions options_;
  int64_t rows_, columns_;  // of patches
  PatchEmbedding patches_;
  State* class_token_;
  State& positions_;
  LayerNorm norm_;
  std::vector<TransformerBlock> blocks_;
};

}  // namespace

std::vector<double> sine_positions(int64_t rows, int64_t columns, int64_t features) {
  const int64_t quarter = features / 4;
  std::vector<double> all;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      for (const int64_t at : {column, row}) {
        for (const bool cosine : {false, true}) {
          for (int64_t k = 0; k < quarter; ++k) {
            const double frequency =
                std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(quarter));
            const double angle = static_cast<double>(at) * frequency;
            all.push_back(cosine ? std::cos(angle) : std::sin(angle));
          }
        }
      }
    }
  }
  return all;
}

std::vector<Key> vit_keys() {
  return {
      key::integer("encoder.patch", "16",
                   "Side of a patch; it must divide the image's height and width.")
          .unit("pixels")
          .between(1, 256),
      key::integer("encoder.depth", "12", "Transformer blocks.").between(1, 128),
      key::one_of("encoder.pool", {"class", "mean"}, "class",
                  "The representation: a class token's, or the mean over the patches."),
      key::one_of("encoder.positions", {"learned", "sine"}, "learned",
                  "Position embeddings: learned, or sines and cosines of row and column."),
      key::number("encoder.drop_path", "0",
                  "Stochastic depth: how often either branch of the last block is left out for a "
                  "sample, less the earlier the block; in full fine-tuning too.")
          .min(0)
          .below(1),
  };
}

VitOptions vit_size(std::string_view name) {
  if (name == "vit_tiny") return {.features = 192, .heads = 3};
  if (name == "vit_small") return {.features = 384, .heads = 6};
  LACUNA_CHECK(name == "vit_base", name);
  return {.features = 768, .heads = 12};
}

std::unique_ptr<Encoder> make_vit(const Configuration& configuration, const Shape& sample,
                                  Scope scope) {
  const std::string& name = configuration.text("encoder.name");
  VitOptions options = vit_size(name);
  options.patch = configuration.integer("encoder.patch");
  if (sample[0] % options.patch != 0 || sample[1] % options.patch != 0) {
    bad_input(configuration.place("encoder.patch"), ": encoder.patch = ", options.patch,
              " does not divide images of ", sample[0], " x ", sample[1],
              " pixels: choose a common divisor of both");
  }
  options.depth = configuration.integer("encoder.depth");
  options.class_token = configuration.is("encoder.pool", "class");
  options.sine_positions = configuration.is("encoder.positions", "sine");
  options.drop_path = configuration.number("encoder.drop_path");
  return make_vit(options, sample, scope);
}

std::unique_ptr<Encoder> make_vit(const VitOptions& options, const Shape& sample, Scope scope) {
  return std::make_unique<Vit>(options, sample, scope);
}

}  // namespace lacuna
