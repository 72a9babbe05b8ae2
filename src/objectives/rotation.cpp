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
      : views_(parts.views),
        encoder_(parts.make_encoder(parts.scope / "encoder")),
        head_(parts.scope / "head", encoder_->features(), 4) {}

  std::unique_ptr<Recipe> recipe() const override {
    return rotated_view(views_.sample, views_.augment, views_.normalisation);
  }

  Tensor loss(const Fields& batch, Recording& recording) const override {
    const Tensor logits = exact(head_((*encoder_)(batch.view(0), recording), recording), recording);
    const double share = 1.0 / static_cast<double>(recording.global_rows());
    const Tensor correct = count_correct(logits, batch["rotation"]);
    recording.metrics.emplace_back("rotation_accuracy", scale(correct, share));
    return softmax_cross_entropy(logits, batch["rotation"], share);
  }

  bool spans_batch() const override { return false; }

  Network network(Weights weights) const override {
    require_student(weights, "rotation");
    return {encoder_.get(), nullptr};
  }

 private:
  ViewOptions views_;
  std::unique_ptr<Encoder> encoder_;
  Linear head_;
};

}  // namespace

std::vector<Key> rotation_keys() { return {}; }

std::unique_ptr<Objective> make_rotation(const ObjectiveParts& parts) {
  return std::make_unique<Rotation>(parts);
}

}  // namespace lacuna
