#include "tasks/network.h"

#include <cmath>
#include <type_traits>
#include <utility>

#include "ops/elementwise.h"
#include "ops/shape.h"

namespace lacuna {

FineTunedNetwork::FineTunedNetwork(const EncoderFactory& make_encoder, int64_t outputs, Scope scope,
                                   bool frozen)
    : encoder_(make_encoder(scope / "encoder")),
      head_(scope / "head", encoder_->features(), outputs),
      encoder_prefix_((scope / "encoder").prefix() + "."),
      frozen_(frozen) {}

Tensor FineTunedNetwork::operator()(const Masked& x, ForwardContext& forward) const {
  return cast(head_(features(x, forward), forward), forward.parameters);
}

Tensor FineTunedNetwork::features(const Masked& x, ForwardContext& forward) const {
  if (!frozen_) return (*encoder_)(x, forward);
  const bool training = std::exchange(forward.training, false);
  const Tensor features = stop_gradient((*encoder_)(x, forward));
  forward.training = training;
  return features;
}

double FineTunedNetwork::rate_factor(const State& parameter, double decay) const {
  const std::string& name = parameter.name();
  if (!name.starts_with(encoder_prefix_)) return 1;
  const int64_t layer = encoder_->layer_of(std::string_view(name).substr(encoder_prefix_.size()));
  return std::pow(decay, static_cast<double>(encoder_->layers() - layer));
}

Tensor numbers_of_samples(const std::string& name, int64_t width,
                          const std::function<double(int64_t sample, int64_t i)>& of,
                          ForwardContext& forward) {
  const auto rows = static_cast<int64_t>(forward.keys.size());
  HostTensor& kept = forward.drawn.emplace_back(forward.parameters, Shape{rows, width});
  const auto fill = [&](const auto numbers) {
    for (int64_t k = 0; k < rows * width; ++k) {
      const SampleKey& key = forward.keys[static_cast<size_t>(k / width)];
      const double value = of(static_cast<int64_t>(key.sample), k % width);
      numbers[static_cast<size_t>(k)] =
          static_cast<std::remove_cvref_t<decltype(numbers[0])>>(value);
    }
  };
  if (kept.dtype() == DType::f64)
    fill(kept.as<double>());
  else
    fill(kept.as<float>());
  return host_leaf(name, kept);
}

std::vector<Key> network_keys(std::vector<Key> own) {
  std::vector<Key> keys = {
      key::one_of(
          "task.start", {"run", "scratch"}, "run",
          "Where the encoder starts: at the run's weights, or at random ones, the baseline."),
      key::integer("task.steps", "200", "Length of the training.").unit("steps").min(1),
      key::numbers("task.rates", "[3e-4, 1e-3, 3e-3]",
                   "Peak learning rates to choose from on a held-out fifth of the labels.")
          .above(0),
      key::one_of("task.encoder", {"trained", "frozen"}, "trained",
                  "Whether the encoder is trained too, or kept as it is behind a trained head."),
      key::number("task.layer_decay", "1",
                  "Factor on the learning rate from each layer of the encoder to the one before; "
                  "the head has the rate itself.")
          .above(0)
          .max(1),
  };
  for (Key& each : own) keys.push_back(std::move(each));
  return keys;
}

}  // namespace lacuna
