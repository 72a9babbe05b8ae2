// Rehearsal: a rank's share of training steps, without data and without the other ranks, to find
// what it takes. Shared by check and the tests of plans.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/load/recipe.h"
#include "stages/setup/model.h"
#include "train/trainer.h"

namespace lacuna {

struct Needs {
  int64_t rows = 0;  // samples of the fullest rank, of one part of a batch
  // Bytes on the device.
  size_t parameters = 0;
  size_t optimizer = 0;  // momenta
  size_t buffers = 0;    // running statistics, teachers, queues
  size_t arena = 0;      // activations and gradients
  size_t upload = 0;     // fields of a batch, once
  size_t gradients = 0;  // summed over ranks in every step
  Traffic traffic;       // of a step
  size_t state = 0;      // what a checkpoint holds, of all ranks
};

class Rehearsal {
 public:
  // `ranks` are those of the run; the device is that of one. bad_input for a configuration that
  // cannot be trained.
  Rehearsal(const Configuration& configuration, const PartModalities& parts, DType compute,
            int ranks, Device& device);
  // One step on a batch of zeros: its values mean nothing.
  void step();
  // Behind the first step.
  Needs needs() const;
  const RecipePointer& recipe() const { return recipe_; }
  bool spans_batch() const { return model_.objective().spans_batch(); }

 private:
  Traffic traffic_;  // of the last step
  std::unique_ptr<Communicator> ranks_;
  TrainOptions options_;
  Model model_;
  RecipePointer recipe_;
  Halves halves_;
  Trainer trainer_;
  std::vector<int64_t> rows_;
  std::map<std::string, HostTensor> batch_;
  std::vector<SampleKey> keys_;  // of its rows
  Fields fields_;
};

// Seconds in which one thread makes a row of a batch, from samples of the first block.
double seconds_of_row(const Dataset& dataset, const Recipe& recipe);

}  // namespace lacuna
