// What pretrain does, and check rehearses: the parts of a training that follow from its
// configuration alone.
#pragma once

#include <optional>
#include <string>

#include "stages/setup/model.h"
#include "train/options.h"
#include "train/trainer.h"

namespace lacuna {

// Steps of the whole run over a data set of `samples`, of which `done` have been done in batches of
// these sizes.
int64_t steps_to_do(const TrainOptions& options, int64_t samples, int64_t done = 0,
                    const BatchTable& batches = {});

// bad_input unless every rank has a sample of each batch, and there is a whole batch.
void check_sizes(const TrainOptions& options, int64_t steps, int64_t samples, int ranks);

// What is to be said where a batch holds a sample twice: there are hardly more samples than in one,
// or it spans the end of an epoch. bad_input where the objective compares the samples of a batch
// with each other (`spans_batch`) and every batch holds some of them twice, as their own negatives.
std::optional<std::string> repeated_samples(const TrainOptions& options, int64_t samples,
                                            bool spans_batch, const std::string& name);

// bad_input unless the batch can be computed in the parts asked for. `spans_batch`: of what is
// trained, by its name.
void check_micro_batches(const TrainOptions& options, bool spans_batch, const std::string& name);

// What a trainer trains: a loss of fields, which has its State in a store, and what the device
// makes of the fields first (Halves::device; empty: nothing).
struct Trainable {
  Trainer::Loss loss;
  StateStore& store;
  Trainer::OnDevice on_device = {};
};
Trainable trainable(Model& model, const Halves& halves);

// The trainer that a configuration asks for, in pretraining and fine-tuning alike; not yet
// prepared. `eager`: operation by operation.
Trainer make_trainer(const Configuration& configuration, DType compute, bool eager,
                     Trainable trainable, Device& device, Communicator& communicator);

// Says so where layers draw and the checkpoint that is continued from is of a version that drew
// otherwise.
void tell_of_other_draws(const Checkpoint& checkpoint, const Trainer& trainer, Log& log);

}  // namespace lacuna
