// CLIP: Radford et al., "Learning transferable visual models from natural language supervision",
// ICML 2021, figure 3. The two parts of a sample (an image and its caption, a signal and a row of a
// table) attract, the parts of all other samples of the global batch repel; how sharply is learned.
#include "objectives/clip.h"

#include <cmath>

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/functions.h"
#include "ops/matrix_product.h"
#include "ops/normalize.h"
#include "ops/scalars.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

constexpr const char* second = "paired";  // the name of the second part
constexpr double most_scale = 100;        // of the logits (section 2.5)

// The encoder of one part, and the linear map to where parts are compared.
class Tower {
 public:
  Tower(const Modality& modality, const EncoderFactory& make_encoder, Scope scope, int64_t width)
      : modality_(modality),
        encoder_(make_encoder(scope / "encoder")),
        projector_(scope / "projector", encoder_->features(), width, false) {}

  RecipePointer recipe() const { return modality_.views(1); }

  Tensor operator()(const Fields& part, ForwardContext& forward) const {
    return normalize(exact(projected(part, forward), forward));
  }

  std::vector<Output> outputs(const std::string& prefix) const {
    std::vector<Output> all = outputs_of(prefix, *encoder_);
    all.push_back({prefix + "projector", [this](const Fields& part, ForwardContext& forward) {
                     return projected(part, forward);
                   }});
    return all;
  }

 private:
  Tensor projected(const Fields& part, ForwardContext& forward) const {
    return projector_((*encoder_)(part.masked_view(0), forward), forward);
  }

  const Modality& modality_;
  std::unique_ptr<Encoder> encoder_;
  Linear projector_;
};

class Clip final : public Objective {
 public:
  explicit Clip(const ObjectiveParts& parts)
      : first_(parts.modality, parts.make_encoder, parts.scope,
               parts.configuration.integer("objective.projection")),
        second_(parts.further.at(second).modality, parts.further.at(second).make_encoder,
                parts.scope / second, parts.configuration.integer("objective.projection")),
        logit_scale_(
            parts.scope.constant("logit_scale", Shape{},
                                 -std::log(parts.configuration.number("objective.temperature")))) {}

  RecipePointer recipe() const override {
    return joined(first_.recipe(), {{second, second_.recipe()}});
  }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    // Views of their own, so that what the layers of the two draw is independent.
    forward.view = 0;
    const Tensor z0 = first_(batch, forward);
    forward.view = 1;
    const Tensor z1 = second_(batch.of(second), forward);
    const Tensor sharpness = exp(limited(forward));
    const Tensor partners = forward.row_numbers();
    return add(half(z0, gather(z1, forward), sharpness, partners, "accuracy", forward),
               half(z1, gather(z0, forward), sharpness, partners, "paired_accuracy", forward));
  }

  bool spans_batch() const override { return true; }

  std::vector<Output> outputs() const override {
    std::vector<Output> all = first_.outputs("");
    for (Output& of : second_.outputs(concat(second, "."))) all.push_back(std::move(of));
    return all;
  }

 private:
  // The learned logarithm of the scale, or that of the largest one allowed. The gradient passes as
  // if there were no limit, so that it can bring the scale back.
  Tensor limited(ForwardContext& forward) const {
    const Tensor& learned = logit_scale_.tensor();
    const Tensor most =
        cast(forward.value("most_logit_scale", std::log(most_scale)), learned.dtype());
    return subtract(learned, stop_gradient(relu(subtract(learned, most))));
  }

  // Each row of z finds its partner among the other part's rows of all ranks.
  static Tensor half(const Tensor& z, const Tensor& others, const Tensor& sharpness,
                     const Tensor& partners, const char* figure, ForwardContext& forward) {
    const double share = 1.0 / static_cast<double>(forward.global_rows());
    const Tensor logits = scale_by(matmul(z, others, false, true), sharpness);
    forward.metrics.emplace_back(figure, scale(count_correct(logits, partners), share));
    return softmax_cross_entropy(logits, partners, share / 2);
  }

  Tower first_, second_;
  State& logit_scale_;
};

}  // namespace

std::vector<Key> clip_keys() {
  return {
      key::number("objective.temperature", "0.07",
                  "Temperature of the softmax over similarities at the start; it is learned, and "
                  "does not fall below 0.01.")
          .above(0)
          .max(10),
      key::integer("objective.projection", "128",
                   "Dimension of the projection in which the two parts are compared.")
          .between(1, 65536),
  };
}

std::unique_ptr<Objective> make_clip(const ObjectiveParts& parts) {
  return std::make_unique<Clip>(parts);
}

}  // namespace lacuna
