// Fine-tuning: an encoder with a linear layer behind it, trained whole, or the layer alone. Shared
// by the tasks that train a network.
#pragma once

#include "encoders/encoder.h"
#include "nn/fields.h"
#include "nn/layers.h"
#include "tasks/task.h"

namespace lacuna {

class FineTunedNetwork {
 public:
  // Makes "encoder" and "head" in the scope. With a frozen encoder no gradient flows to its
  // weights, and its layers work in training as they do afterwards: with running statistics,
  // drawing nothing.
  FineTunedNetwork(const EncoderFactory& make_encoder, int64_t outputs, Scope scope,
                   bool frozen = false);

  // [B, positions…, C] -> [B, outputs], in the parameters' dtype.
  Tensor operator()(const Masked& x, ForwardContext& forward) const;

  // The factor on the learning rate of a parameter: `decay` to the power of its layer's distance
  // from the head (Bao et al. 2022, "BEiT: BERT pre-training of image transformers").
  double rate_factor(const State& parameter, double decay) const;

 private:
  Tensor features(const Masked& x, ForwardContext& forward) const;

  std::unique_ptr<Encoder> encoder_;
  Linear head_;
  std::string encoder_prefix_;  // of the names of the encoder's State
  bool frozen_;
};

// `width` numbers of each sample of this rank, [rows, width] in the parameters' dtype. `of` gives
// those of a sample of the training data.
Tensor numbers_of_samples(const std::string& name, int64_t width,
                          const std::function<double(int64_t sample, int64_t i)>& of,
                          ForwardContext& forward);

// task.start, task.steps, task.rates, task.encoder and task.layer_decay, and behind them the task's
// own.
std::vector<Key> network_keys(std::vector<Key> own);

}  // namespace lacuna
