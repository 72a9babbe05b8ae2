#include "tasks/linear.h"

#include "tasks/logistic_regression.h"
#include "tasks/probe_keys.h"

namespace lacuna {

namespace {

class FittedClassifiers final : public FittedProbe {
 public:
  FittedClassifiers(Standardisation scale, std::vector<LinearClassifier> classifiers,
                    Device& device)
      : scale_(std::move(scale)),
        classifiers_(std::move(classifiers)),
        dtype_(device.parameter_dtype()),
        executor_(device) {}

  std::vector<HostTensor> outputs(const HostTensor& x) override {
    HostTensor standard = copy_of(x);
    standardise(standard, scale_);
    std::vector<HostTensor> outputs;
    for (const LinearClassifier& each : classifiers_)
      outputs.push_back(logits(each, standard, dtype_, executor_));
    return outputs;
  }

  int64_t dimension() const override { return static_cast<int64_t>(scale_.mean.size()); }

  NamedTensors tensors() const override {
    NamedTensors all;
    const LinearClassifier& only = classifiers_.front();
    all["weight"] = copy_of(only.weight);
    all["bias"] = copy_of(only.bias);
    all["mean"] = tensor_of(scale_.mean, {static_cast<int64_t>(scale_.mean.size())});
    all["deviation"] = tensor_of(scale_.deviation, {static_cast<int64_t>(scale_.deviation.size())});
    return all;
  }

 private:
  Standardisation scale_;
  std::vector<LinearClassifier> classifiers_;
  DType dtype_;
  Executor executor_;
};

class LinearProbe final : public ProbeTask {
 public:
  explicit LinearProbe(const TaskParts& parts)
      : ProbeTask(parts.outputs), candidates_(parts.configuration.numbers("task.l2")) {}

  Predicted predicted(const HostTensor& outputs) const override {
    return classes_of_logits(outputs);
  }
  std::unique_ptr<Scorer> scorer() const override { return class_scorer(outputs()); }
  std::vector<PredictionColumn> columns() const override { return class_columns(outputs()); }
  std::vector<double> candidates() const override { return candidates_; }

  std::unique_ptr<FittedProbe> fit(const Features& train, const std::vector<int64_t>& rows,
                                   std::span<const double> candidates, Device& device,
                                   Communicator& communicator) const override {
    Standardisation scale = standardisation(train.values);
    Features standard = select_rows(train, rows);
    standardise(standard.values, scale);
    std::vector<LinearClassifier> classifiers;
    for (const double l2 : candidates)
      classifiers.push_back(fit_logistic_regression(standard, outputs(), l2, device, communicator));
    return std::make_unique<FittedClassifiers>(std::move(scale), std::move(classifiers), device);
  }

  std::unique_ptr<FittedProbe> restored(const NamedTensors& tensors,
                                        Device& device) const override {
    std::vector<LinearClassifier> only(1);
    only[0].weight = copy_of(stored_tensor(tensors, "weight", DType::f32, 2));
    only[0].bias = copy_of(stored_tensor(tensors, "bias", DType::f32, 1));
    return std::make_unique<FittedClassifiers>(
        Standardisation{doubles_of(stored_tensor(tensors, "mean", DType::f64, 1)),
                        doubles_of(stored_tensor(tensors, "deviation", DType::f64, 1))},
        std::move(only), device);
  }

 private:
  std::vector<double> candidates_;
};

}  // namespace

std::vector<Key> linear_keys() {
  return probe_keys({key::numbers("task.l2", "[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]",
                                  "Weights of the squared norm to choose from on held-out labels.")
                         .min(0)});
}

std::unique_ptr<ProbeTask> make_linear(const TaskParts& parts) {
  return std::make_unique<LinearProbe>(parts);
}

}  // namespace lacuna
