// Task: a downstream task — its targets, its loss, its scores, and what it writes of samples
// without targets. One file per task; tasks/list.h names them. A task knows no stage and no file.
//
// A task is one of two kinds: a ProbeTask fits something to fixed representations of the samples; a
// NetworkTask trains an encoder with a linear layer behind it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "comm/communicator.h"
#include "config/configuration.h"
#include "graph/forward_context.h"
#include "nn/fields.h"
#include "tasks/features.h"
#include "tasks/scorer.h"

namespace lacuna {

using NamedTensors = std::map<std::string, HostTensor>;
// Of that name; bad_input where it is not there or of another type or number of axes.
const HostTensor& stored_tensor(const NamedTensors& tensors, const std::string& name, DType dtype,
                                int rank);

// A column of a file of predictions (docs/formats.md): its layout, and what stands there.
struct PredictionColumn {
  std::string name;  // "class"
  DType dtype = DType::f32;
  Shape row;         // sizes after the first
  std::string axes;  // "sample, class"
  std::string description;
  std::function<HostTensor(const Predicted& predicted)> values;  // [n, ...row]
};
// Of `classes` classes: "class" and "probability"; of `width` values: "value".
std::vector<PredictionColumn> class_columns(int64_t classes);
std::vector<PredictionColumn> value_columns(int64_t width);
// Of marks of `classes` classes: "mark" and "probability".
std::vector<PredictionColumn> mark_columns(int64_t classes);

class Task {
 public:
  virtual ~Task() = default;
  // What its outputs [n, outputs()], float32 or float64, say.
  virtual Predicted predicted(const HostTensor& outputs) const = 0;
  virtual std::unique_ptr<Scorer> scorer() const = 0;
  virtual std::vector<PredictionColumn> columns() const = 0;
  // What predicted() follows from beside configuration and number of outputs; kept with the model.
  virtual NamedTensors tensors() const { return {}; }

  // Numbers that it computes of a sample: one for each class, or value.
  int64_t outputs() const { return outputs_; }

 protected:
  explicit Task(int64_t outputs) : outputs_(outputs) {}

 private:
  int64_t outputs_;
};

// What was fitted to representations, of each of some values of a hyper-parameter.
class FittedProbe {
 public:
  virtual ~FittedProbe() = default;
  // Of each value [n, outputs], of representations f32 [n, D]. Not collective.
  virtual std::vector<HostTensor> outputs(const HostTensor& x) = 0;
  virtual int64_t dimension() const = 0;  // D
  // All that the outputs follow from, where it is of one value; ProbeTask::restored() takes it.
  virtual NamedTensors tensors() const = 0;
};

class ProbeTask : public Task {
 public:
  // Values of its hyper-parameter to choose from.
  virtual std::vector<double> candidates() const = 0;
  // Collective: fits `rows` of the training samples; what is found without targets (the scale of a
  // feature) may be of all of them. The references must outlive what is returned.
  virtual std::unique_ptr<FittedProbe> fit(const Features& train, const std::vector<int64_t>& rows,
                                           std::span<const double> candidates, Device& device,
                                           Communicator& communicator) const = 0;
  virtual std::unique_ptr<FittedProbe> restored(const NamedTensors& tensors,
                                                Device& device) const = 0;

 protected:
  using Task::Task;
};

class NetworkTask : public Task {
 public:
  // This rank's share of the loss of the global batch, of outputs [B, outputs()] in the parameters'
  // dtype; figures to watch go to the recording, whose keys name the samples.
  virtual Tensor loss(const Tensor& outputs, const Fields& fields,
                      ForwardContext& forward) const = 0;

 protected:
  using Task::Task;
};

// What a task is made from.
struct TaskParts {
  const Configuration& configuration;
  // Of all training samples, which must outlive the task; null where a fitted task is restored.
  const Targets* targets = nullptr;
  // Those of them whose targets may be looked at; null: all.
  const std::vector<int64_t>* labelled = nullptr;
  int64_t outputs = 0;                     // classes, or values of a sample
  const NamedTensors* restored = nullptr;  // Task::tensors() of the fitted one

  Targets labelled_targets() const;  // of a task that is to be fitted
};

}  // namespace lacuna
