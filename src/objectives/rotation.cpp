// Rotation prediction: Gidaris, Singh, Komodakis, "Unsupervised representation learning by
// predicting image rotations", ICLR 2018. The transform makes the label: which quarter turn was it?
#include "objectives/rotation.h"

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"

namespace lacuna {

namespace {

class Rotation final : public Objective {
 public:
  explicit Rotation(const ObjectiveParts& parts)
      : modality_(parts.modality),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        head_(parts.scope / "head", encoder_->features(), 4) {}

  RecipePointer recipe() const override { return modality_.rotated(); }

  Tensor loss(const Fields& batch, ForwardContext& forward) const override {
    const Tensor logits =
        exact(head_((*encoder_)(batch.masked_view(0), forward), forward), forward);
    const double share = 1.0 / static_cast<double>(forward.global_rows());
    const Tensor correct = count_correct(logits, batch["rotation"]);
    forward.metrics.emplace_back("rotation_accuracy", scale(correct, share));
    return softmax_cross_entropy(logits, batch["rotation"], share);
  }

  bool spans_batch() const override { return false; }

  std::vector<Output> outputs() const override { return outputs_of("", *encoder_); }

 private:
  const Modality& modality_;
  std::unique_ptr<Encoder> encoder_;
  Linear head_;
};

}  // namespace

std::vector<Key> rotation_keys() { return {}; }

std::unique_ptr<Objective> make_rotation(const ObjectiveParts& parts) {
  return std::make_unique<Rotation>(parts);
}

}  // namespace lacuna
