#include "tasks/regress.h"

#include <cmath>

#include "ops/squared_error.h"
#include "tasks/network.h"

namespace lacuna {

namespace {

// Of each value over the samples; a constant one has the deviation 1.
Standardisation standardisation_of(const Targets& targets) {
  const auto width = static_cast<size_t>(targets.width);
  const auto count = static_cast<double>(targets.count());
  Standardisation scale{std::vector<double>(width), std::vector<double>(width)};
  for (size_t k = 0; k < targets.values.size(); ++k)
    scale.mean[k % width] += targets.values[k] / count;
  for (size_t k = 0; k < targets.values.size(); ++k) {
    const double away = targets.values[k] - scale.mean[k % width];
    scale.deviation[k % width] += away * away / count;
  }
  for (double& deviation : scale.deviation) deviation = deviation > 0 ? std::sqrt(deviation) : 1;
  return scale;
}

class Regress final : public NetworkTask {
 public:
  explicit Regress(const TaskParts& parts) : NetworkTask(parts.outputs), targets_(parts.targets) {
    if (parts.targets != nullptr) {
      scale_ = standardisation_of(parts.labelled_targets());
    } else {
      scale_ = {doubles_of(stored_tensor(*parts.restored, "mean", DType::f64, 1)),
                doubles_of(stored_tensor(*parts.restored, "deviation", DType::f64, 1))};
    }
  }

  Predicted predicted(const HostTensor& outputs) const override {
    Predicted predicted = values_of(outputs);
    const auto width = static_cast<size_t>(predicted.width);
    for (size_t k = 0; k < predicted.numbers.size(); ++k) {
      double& value = predicted.numbers[k];
      value = scale_.mean[k % width] + scale_.deviation[k % width] * value;
    }
    return predicted;
  }
  std::unique_ptr<Scorer> scorer() const override { return value_scorer(outputs()); }
  std::vector<PredictionColumn> columns() const override { return value_columns(outputs()); }
  NamedTensors tensors() const override {
    NamedTensors all;
    all["mean"] = tensor_of(scale_.mean, {outputs()});
    all["deviation"] = tensor_of(scale_.deviation, {outputs()});
    return all;
  }

  // The mean over samples and values of the squared error, in standard deviations.
  Tensor loss(const Tensor& outputs, const Fields&, ForwardContext& forward) const override {
    const auto standard = [this](int64_t sample, int64_t i) {
      const auto at = static_cast<size_t>(sample * this->outputs() + i);
      const auto value = static_cast<size_t>(i);
      return (targets_->values[at] - scale_.mean[value]) / scale_.deviation[value];
    };
    const double count = static_cast<double>(forward.global_rows() * this->outputs());
    return squared_error(outputs, numbers_of_samples("targets", this->outputs(), standard, forward),
                         1 / count);
  }

 private:
  const Targets* targets_;  // null in a restored task, which learns no more
  Standardisation scale_;
};

}  // namespace

std::vector<Key> regress_keys() { return network_keys({}); }

std::unique_ptr<NetworkTask> make_regress(const TaskParts& parts) {
  return std::make_unique<Regress>(parts);
}

}  // namespace lacuna
