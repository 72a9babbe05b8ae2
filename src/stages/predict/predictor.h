// Predictor: the task of a finished run of finetune with the model that the run keeps, ready to be
// asked of samples.
#pragma once

#include <memory>

#include "stages/embed/embedded_file.h"
#include "stages/finetune/finetuned_model.h"
#include "stages/setup/compute.h"
#include "stages/setup/model.h"
#include "tasks/list.h"
#include "tasks/network.h"

namespace lacuna {

class Predictor {
 public:
  // Collective. `configuration` is the task's, `model` what the run keeps, `parts` are those of the
  // run that was fine-tuned, of which the first is the source's that it is asked of. bad_input, on
  // every rank, where they do not go together. The references must outlive it.
  Predictor(const Configuration& configuration, const Checkpoint& model,
            const PartModalities& parts, Compute& compute, Communicator& communicator);

  // From samples to the task's outputs; refers to this.
  Embedder embedder(Communicator& communicator) const;
  // What is written of these outputs; refers to this.
  std::vector<OutputColumn> columns() const;

 private:
  void make_network(const TaskParts& parts, const Configuration& pretraining);
  void make_probe(const TaskParts& parts, const Configuration& pretraining);

  const Checkpoint& model_;
  const PartModalities& parts_;
  const Modality& modality_;  // of the first
  Compute& compute_;
  NamedTensors restored_;  // Task::tensors()
  std::shared_ptr<const Task> task_;
  StateStore store_;                           // of a network
  std::unique_ptr<FineTunedNetwork> network_;  // likewise
  std::unique_ptr<Model> encoder_;             // of a probe on representations
  std::unique_ptr<FittedProbe> probe_;
  Output output_;
  FurtherStep further_;
};

}  // namespace lacuna
