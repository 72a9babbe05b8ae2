#include "tasks/classify.h"

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/soft_cross_entropy.h"
#include "tasks/network.h"

namespace lacuna {

namespace {

// Samples / (classes x samples of the class): the mean over the samples is 1. A class without
// samples has the weight 0.
std::vector<double> balanced_weights(const std::vector<int64_t>& labels, int64_t classes) {
  std::vector<double> count(static_cast<size_t>(classes));
  double all = 0, present = 0;
  for (const int64_t label : labels) {
    if (label < 0) continue;
    present += count[static_cast<size_t>(label)]++ == 0 ? 1 : 0;
    all += 1;
  }
  for (double& each : count) each = each > 0 ? all / (present * each) : 0;
  return count;
}

class Classify final : public NetworkTask {
 public:
  explicit Classify(const TaskParts& parts) : NetworkTask(parts.outputs), targets_(parts.targets) {
    if (parts.targets != nullptr && parts.configuration.is("task.class_weights", "balanced"))
      weights_ = balanced_weights(parts.labelled_targets().classes, parts.outputs);
  }

  Predicted predicted(const HostTensor& outputs) const override {
    return classes_of_logits(outputs);
  }
  std::unique_ptr<Scorer> scorer() const override { return class_scorer(outputs()); }
  std::vector<PredictionColumn> columns() const override { return class_columns(outputs()); }

  // The mean over samples of the cross entropy with "label", times the weight of its class where
  // classes are to weigh the same; the metric "accuracy".
  Tensor loss(const Tensor& logits, const Fields& fields, ForwardContext& forward) const override {
    const double share = 1.0 / static_cast<double>(forward.global_rows());
    forward.metrics.emplace_back("accuracy", scale(count_correct(logits, fields["label"]), share));
    if (weights_.empty()) return softmax_cross_entropy(logits, fields["label"], share);
    return scale(soft_cross_entropy(logits, weighted_classes(forward)), share);
  }

 private:
  // Of each sample the weight of its class at its class, 0 at all others.
  Tensor weighted_classes(ForwardContext& forward) const {
    const auto weight = [this](int64_t sample, int64_t at) {
      const int64_t label = targets_->classes[static_cast<size_t>(sample)];
      return label == at ? weights_[static_cast<size_t>(label)] : 0;
    };
    return numbers_of_samples("class_weights", outputs(), weight, forward);
  }

  const Targets* targets_;       // null in a restored task, which learns no more
  std::vector<double> weights_;  // of the classes; none: all 1
};

}  // namespace

std::vector<Key> classify_keys() {
  return network_keys({key::one_of("task.class_weights", {"none", "balanced"}, "none",
                                   "Weight of a sample in the loss: 1, or such that all classes "
                                   "weigh the same.")});
}

std::unique_ptr<NetworkTask> make_classify(const TaskParts& parts) {
  return std::make_unique<Classify>(parts);
}

}  // namespace lacuna
