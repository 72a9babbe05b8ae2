// Classification: an encoder with a linear head, trained whole by labels (full fine-tuning).
#pragma once

#include "encoders/encoder.h"
#include "nn/fields.h"
#include "nn/layers.h"

namespace lacuna {

class Classifier {
 public:
  // Makes "encoder" and "head" in the scope.
  Classifier(const EncoderFactory& make_encoder, int64_t classes, Scope scope);

  // [B, H, W, C] -> logits [B, classes], in the parameters' dtype.
  Tensor logits(const Tensor& x, Recording& recording) const;

  // This rank's share of the mean cross entropy of view0 with "label"; the metric "accuracy".
  Tensor loss(const Fields& fields, Recording& recording) const;

 private:
  std::unique_ptr<Encoder> encoder_;
  Linear head_;
};

}  // namespace lacuna
