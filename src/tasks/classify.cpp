#include "tasks/classify.h"

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"

namespace lacuna {

Classifier::Classifier(const EncoderFactory& make_encoder, int64_t classes, Scope scope)
    : encoder_(make_encoder(scope / "encoder")),
      head_(scope / "head", encoder_->features(), classes) {}

Tensor Classifier::logits(const Tensor& x, Recording& recording) const {
  return cast(head_((*encoder_)(x, recording), recording), recording.parameters);
}

Tensor Classifier::loss(const Fields& fields, Recording& recording) const {
  const Tensor scores = logits(fields.view(0), recording);
  const double share = 1.0 / static_cast<double>(recording.global_rows());
  recording.metrics.emplace_back("accuracy", scale(count_correct(scores, fields["label"]), share));
  return softmax_cross_entropy(scores, fields["label"], share);
}

}  // namespace lacuna
