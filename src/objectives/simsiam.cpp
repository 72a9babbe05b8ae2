// SimSiam: Chen, He, "Exploring simple Siamese representation learning", CVPR 2021. Each view's
// prediction is drawn to the other view's projection, through which no gradient flows.
#include "objectives/simsiam.h"

#include "ops/elementwise.h"
#include "ops/normalize.h"
#include "ops/shape.h"
#include "ops/squared_error.h"

namespace lacuna {

namespace {

class SimSiam final : public Objective {
 public:
  explicit SimSiam(const ObjectiveParts& parts)
      : modality_(parts.modality),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        projector_(parts.scope / "projector",
                   {encoder_->features(), parts.configuration.integer("objective.hidden"),
                    parts.configuration.integer("objective.projection")},
                   true),
        predictor_(parts.scope / "predictor",
                   {parts.configuration.integer("objective.projection"),
                    parts.configuration.integer("objective.bottleneck"),
                    parts.configuration.integer("objective.projection")},
                   false) {}

  RecipePointer recipe() const override { return modality_.views(2); }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    const Pair first = see(batch, 0, forward);
    const Pair second = see(batch, 1, forward);
    // Eq. 4: -p . z of unit vectors is |p - z|^2 / 2 - 1, so half of it for either view; the mean
    // over the global batch, from 0 (all agree) to 2.
    const double share = 0.25 / static_cast<double>(forward.global_rows());
    return add(squared_error(first.prediction, second.target, share),
               squared_error(second.prediction, first.target, share));
  }

  bool spans_batch() const override { return false; }

  std::vector<Output> outputs() const override { return outputs_of("", *encoder_, &projector_); }

 private:
  struct Pair {
    Tensor prediction, target;
  };

  Pair see(const Fields& batch, int view, ForwardContext& forward) const {
    forward.view = view;
    const Tensor z = projector_((*encoder_)(batch.masked_view(view), forward), forward);
    return {normalize(exact(predictor_(z, forward), forward)),
            stop_gradient(normalize(exact(z, forward)))};
  }

  const Modality& modality_;
  std::unique_ptr<Encoder> encoder_;
  Mlp projector_;
  Mlp predictor_;
};

}  // namespace

std::vector<Key> simsiam_keys() {
  return {
      key::integer("objective.hidden", "512", "Width of the projector's hidden layer.")
          .between(1, 65536),
      key::integer("objective.projection", "512", "Dimension in which views are compared.")
          .between(1, 65536),
      key::integer("objective.bottleneck", "128",
                   "Width of the predictor's hidden layer, narrower than the projection.")
          .between(1, 65536),
  };
}

std::unique_ptr<Objective> make_simsiam(const ObjectiveParts& parts) {
  return std::make_unique<SimSiam>(parts);
}

}  // namespace lacuna
