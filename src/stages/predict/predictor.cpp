#include "stages/predict/predictor.h"

#include <algorithm>

#include "comm/agree.h"
#include "encoders/list.h"
#include "run/stored_state.h"
#include "stages/keys/schema.h"
#include "train/loop.h"

namespace lacuna {

namespace {

HostTensor floats_of(HostTensor numbers) {
  if (numbers.dtype() == DType::f32) return numbers;
  HostTensor floats(DType::f32, numbers.shape());
  const std::vector<double> exact = doubles_of(numbers);
  std::transform(exact.begin(), exact.end(), floats.as<float>().begin(),
                 [](double value) { return static_cast<float>(value); });
  return floats;
}

int64_t outputs_of(const NamedTensors& restored) {
  const int64_t outputs = stored_tensor(restored, "outputs", DType::i64, 1).as<int64_t>()[0];
  if (outputs < 1) bad_input("the model has ", outputs, " outputs: fine-tune anew");
  return outputs;
}

}  // namespace

Predictor::Predictor(const Configuration& configuration, const Checkpoint& model,
                     const PartModalities& parts, Compute& compute, Communicator& communicator)
    : model_(model),
      parts_(parts),
      modality_(*parts.at("")),
      compute_(compute),
      store_(*compute.device) {
  const TaskEntry& entry = task_of(configuration);
  agreed(communicator, [&] {
    restored_ = kept_tensors(model, "task.");
    const Configuration pretraining = Configuration::from_text(
        model.info.configuration, schema_of("pretrain"), model.folder.string());
    const TaskParts task{
        .configuration = configuration, .outputs = outputs_of(restored_), .restored = &restored_};
    if (entry.trains_network())
      make_network(task, pretraining);
    else
      make_probe(task, pretraining);
  });
}

void Predictor::make_network(const TaskParts& parts, const Configuration& pretraining) {
  task_ = task_of(parts.configuration).make_network(parts);
  const auto seed = static_cast<uint64_t>(parts.configuration.integer("seed"));
  network_ = std::make_unique<FineTunedNetwork>(encoder_factory(pretraining, modality_),
                                                parts.outputs, Scope(store_, seed));
  load_tensors(model_, tensor_targets(store_), Match::subset);
  output_ = {"task", [this](const Fields& fields, ForwardContext& forward) {
               return (*network_)(fields.masked_view(0), forward);
             }};
}

void Predictor::make_probe(const TaskParts& parts, const Configuration& pretraining) {
  std::shared_ptr<const ProbeTask> task = task_of(parts.configuration).make_probe(parts);
  probe_ = task->restored(kept_tensors(model_, "probe."), *compute_.device);
  task_ = std::move(task);
  if (parts.configuration.is("task.features", "pixels")) {
    output_ = own_values();
  } else {
    encoder_ = std::make_unique<Model>(pretraining, parts_, *compute_.device);
    load_tensors(model_, tensor_targets(encoder_->store()), Match::subset);
    const bool of_teacher = parts.configuration.is("task.weights", "teacher");
    output_ = output_of(encoder_->objective(), of_teacher ? "teacher.encoder" : "encoder");
  }
  const Fields row = empty_fields(modality_.plain()->outputs(), 1, compute_.dtype);
  const int64_t values = row.view(0).shape().count();
  if (encoder_ == nullptr && values != probe_->dimension())
    bad_input("the task was fitted to samples of ", probe_->dimension(), " values, and these have ",
              values, ": give samples of the same shape");
  further_ = {
      .make = [this](const HostTensor& x) { return floats_of(std::move(probe_->outputs(x)[0])); },
      .features = parts.outputs};
}

Embedder Predictor::embedder(Communicator& communicator) const {
  return {output_, modality_, compute_, communicator, further_};
}

std::vector<OutputColumn> Predictor::columns() const {
  std::vector<OutputColumn> columns;
  for (const PredictionColumn& each : task_->columns()) {
    columns.push_back({.layout = {.name = each.name,
                                  .dtype = each.dtype,
                                  .row = each.row,
                                  .axes = each.axes,
                                  .description = each.description},
                       .values = [task = task_, values = each.values](const HostTensor& outputs) {
                         return values(task->predicted(outputs));
                       }});
  }
  return columns;
}

}  // namespace lacuna
