// BYOL: Grill et al., "Bootstrap your own latent: a new approach to self-supervised learning",
// NeurIPS 2020. The student predicts, from one view, what a slowly following teacher sees in the
// other; no negatives.
#include "objectives/byol.h"

#include <numbers>
#include <utility>

#include "ops/elementwise.h"
#include "ops/normalize.h"
#include "ops/shape.h"
#include "ops/squared_error.h"

namespace lacuna {

namespace {

struct Branch {
  std::unique_ptr<Encoder> encoder;
  Mlp projector;

  Branch(const ObjectiveParts& parts, Scope scope)
      : encoder(parts.make_encoder(scope / "encoder")),
        projector(scope / "projector",
                  {encoder->features(), parts.configuration.integer("objective.hidden"),
                   parts.configuration.integer("objective.projection")},
                  false) {}
  Tensor operator()(const Masked& x, ForwardContext& forward) const {
    return projector((*encoder)(x, forward), forward);
  }
};

class Byol final : public Objective {
 public:
  explicit Byol(const ObjectiveParts& parts)
      : modality_(parts.modality),
        momentum_(parts.configuration.number("objective.momentum")),
        store_(parts.scope.store()),
        student_(parts, parts.scope),
        predictor_(parts.scope / "predictor",
                   {parts.configuration.integer("objective.projection"),
                    parts.configuration.integer("objective.hidden"),
                    parts.configuration.integer("objective.projection")},
                   false),
        teacher_(parts, parts.scope / "teacher") {
    for (const char* part : {"encoder", "projector"}) {
      copy_state(store_, part, concat("teacher.", part));
    }
  }

  RecipePointer recipe() const override { return modality_.views(2); }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    const Tensor p0 = predict(batch, 0, forward);
    const Tensor p1 = predict(batch, 1, forward);
    const Tensor t0 = target(batch.masked_view(0), forward);
    const Tensor t1 = target(batch.masked_view(1), forward);
    // Eq. 6: momentum rises from its start to 1 along a cosine.
    const double momentum =
        1 - (1 - momentum_) * (std::cos(std::numbers::pi * forward.progress) + 1) / 2;
    const Tensor m = forward.value("teacher_momentum", momentum);
    record_momentum_update(store_, "encoder", "teacher.encoder", m, forward);
    record_momentum_update(store_, "projector", "teacher.projector", m, forward);
    // Eq. 2, made symmetric, as the mean over the global batch.
    const double share = 1.0 / static_cast<double>(forward.global_rows());
    return add(squared_error(p0, t1, share), squared_error(p1, t0, share));
  }

  bool spans_batch() const override { return false; }

  std::vector<Output> outputs() const override {
    std::vector<Output> all = outputs_of("", *student_.encoder, &student_.projector);
    for (Output& of : outputs_of("teacher.", *teacher_.encoder, &teacher_.projector))
      all.push_back(std::move(of));
    return all;
  }

 private:
  Tensor predict(const Fields& batch, int view, ForwardContext& forward) const {
    forward.view = view;
    const Tensor projected = student_(batch.masked_view(view), forward);
    return normalize(exact(predictor_(projected, forward), forward));
  }
  Tensor target(const Masked& view, ForwardContext& forward) const {
    const bool before = std::exchange(forward.without_draws, true);
    const Tensor seen = stop_gradient(normalize(exact(teacher_(view, forward), forward)));
    forward.without_draws = before;
    return seen;
  }

  const Modality& modality_;
  double momentum_;
  StateStore& store_;
  Branch student_;
  Mlp predictor_;
  Branch teacher_;
};

}  // namespace

std::vector<Key> byol_keys() {
  return {
      key::number("objective.momentum", "0.99",
                  "Teacher's momentum at the start; it rises to 1 along a cosine.")
          .between(0, 1),
      key::integer("objective.hidden", "512",
                   "Width of the hidden layers of projector and predictor.")
          .between(1, 65536),
      key::integer("objective.projection", "128",
                   "Dimension in which prediction and target are compared.")
          .between(1, 65536),
  };
}

std::unique_ptr<Objective> make_byol(const ObjectiveParts& parts) {
  return std::make_unique<Byol>(parts);
}

}  // namespace lacuna
