#include "tasks/tag.h"

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
#include "tasks/network.h"

namespace lacuna {

namespace {

// Of each class two outputs, of which the softmax tells whether a sample is not of it, or is. A
// fitted task is restored with all outputs that its network has.
class Tag final : public NetworkTask {
 public:
  explicit Tag(const TaskParts& parts)
      : NetworkTask(parts.restored == nullptr ? 2 * parts.outputs : parts.outputs) {}

  Predicted predicted(const HostTensor& outputs) const override {
    Predicted predicted{.classes = {}, .numbers = {}, .width = classes()};
    const std::vector<double> pairs = doubles_of(outputs);
    for (size_t i = 0; i + 1 < pairs.size(); i += 2)
      predicted.numbers.push_back(pairs[i + 1] - pairs[i]);
    return predicted;
  }
  std::unique_ptr<Scorer> scorer() const override { return mark_scorer(classes()); }
  std::vector<PredictionColumn> columns() const override { return mark_columns(classes()); }

  // The mean over samples and classes of the binary cross entropy with "label" [B, classes], to
  // which a mark that is not known (negative) adds nothing; the metric "accuracy", of marks.
  Tensor loss(const Tensor& outputs, const Fields& fields, ForwardContext& forward) const override {
    const int64_t rows = outputs.shape()[0] * classes();
    const Tensor pairs = reshape(outputs, {rows, 2});
    const Tensor marks = reshape(fields["label"], {rows});
    const double share = 1.0 / static_cast<double>(forward.global_rows() * classes());
    forward.metrics.emplace_back("accuracy", scale(count_correct(pairs, marks), share));
    return softmax_cross_entropy(pairs, marks, share);
  }

 private:
  int64_t classes() const { return this->outputs() / 2; }
};

}  // namespace

std::vector<Key> tag_keys() { return network_keys({}); }

std::unique_ptr<NetworkTask> make_tag(const TaskParts& parts) {
  return std::make_unique<Tag>(parts);
}

}  // namespace lacuna
