// SimCLR: Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
// representations", ICML 2020. Two views of each sample attract, the views of all other samples of
// the global batch repel.
#include "objectives/simclr.h"

#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/normalize.h"
#include "ops/nt_xent.h"

namespace lacuna {

namespace {

class SimClr final : public Objective {
 public:
  explicit SimClr(const ObjectiveParts& parts)
      : modality_(parts.modality),
        temperature_(parts.configuration.number("objective.temperature")),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        projector_(parts.scope / "projector",
                   {encoder_->features(), parts.configuration.integer("objective.hidden"),
                    parts.configuration.integer("objective.projection")},
                   true) {}

  RecipePointer recipe() const override { return modality_.views(2); }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    const Tensor z0 = project(batch, 0, forward);
    const Tensor z1 = project(batch, 1, forward);
    return nt_xent(z0, z1, gather(z0, forward), gather(z1, forward), temperature_,
                   forward.first_row());
  }

  bool spans_batch() const override { return true; }

  std::vector<Output> outputs() const override { return outputs_of("", *encoder_, &projector_); }

 private:
  Tensor project(const Fields& batch, int view, ForwardContext& forward) const {
    forward.view = view;
    const Tensor features = (*encoder_)(batch.masked_view(view), forward);
    return normalize(exact(projector_(features, forward), forward));
  }

  const Modality& modality_;
  double temperature_;
  std::unique_ptr<Encoder> encoder_;
  Mlp projector_;
};

}  // namespace

std::vector<Key> simclr_keys() {
  return {
      key::number(
          "objective.temperature", "0.2",
          "Temperature of the softmax over similarities: lower weighs the nearest negatives more.")
          .above(0)
          .max(10),
      key::integer("objective.hidden", "512", "Width of the projection head's hidden layer.")
          .between(1, 65536),
      key::integer("objective.projection", "128",
                   "Dimension of the projection in which views are compared.")
          .between(1, 65536),
  };
}

std::unique_ptr<Objective> make_simclr(const ObjectiveParts& parts) {
  return std::make_unique<SimClr>(parts);
}

}  // namespace lacuna
