// The training loop: batches in, steps, metrics, checkpoints, progress. It knows the model as a
// Trainer, the data as a Loader; no objective, no file of the user's.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "comm/agree.h"
#include "comm/communicator.h"
#include "data/load/streams.h"
#include "graph/state.h"
#include "run/checkpoint.h"
#include "run/metrics.h"
#include "train/early_stop.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace lacuna {

// Fields of a model from those of a batch: leaves over its memory, floats cast to `compute`. The
// batch must outlive the step.
Fields fields_of(const Batch& batch, DType compute);

// Of a step's streams: the first's as above, those of others as "<stream>.<field>", and which rows
// of each every rank holds.
Fields fields_of(Streams& streams, const std::vector<Batch>& batches, DType compute);

// Adds one: a leaf of the host, cast to `compute` if it is of floats.
void add_field(Fields& fields, const std::string& name, const Tensor& leaf, DType compute);

// Fields without contents, of the shapes that `count` rows have; for Trainer::prepare.
Fields empty_fields(const std::vector<OutputField>& fields, int64_t count, DType compute);

struct LoopOptions {
  int64_t first_step = 0;      // steps done before
  int64_t steps = 0;           // to stand at the end
  BatchTable batches;          // global
  int64_t micro_batches = 1;   // that a batch is loaded and computed in
  int64_t samples = 1;         // of an epoch
  Schedule schedule{0, 0, 1};  // in steps of the batch that the plan ends with
  double checkpoint_minutes = 10;
  int64_t checkpoint_steps = 0;  // 0: by time alone
  bool last_checkpoint = true;   // at the end
};

// Every rank's: the loss of a step, or its gradient's norm, is not finite. Status bad_values.
class NonFiniteLoss : public AgreedError {
 public:
  // what: "the loss of step 57 is nan"; to_do: the rest of the sentence.
  NonFiniteLoss(int64_t step, const std::string& what, const std::string& to_do);
  int64_t step() const { return step_; }
  const std::string& what_is_bad() const { return what_; }  // "the loss of step 57 is nan"

 private:
  int64_t step_;
  std::string what_;
};

// Seconds by what they were spent on, for the table at the end.
struct Accounting {
  double read = 0, augment = 0;  // in the loader's threads, beside the rest where it has its own
  double wait = 0;               // for batches
  double forward = 0, backward = 0, communicate = 0, update = 0, plan = 0;
  double checkpoint = 0;  // what the step waited for
  double other = 0;
  double total = 0;
};

// Lines of a table of where the time went.
std::vector<std::string> accounting_lines(const Accounting& accounting);

class TrainingLoop {
 public:
  // What it is given must outlive it.
  TrainingLoop(LoopOptions options, Streams& streams, Trainer& trainer, StateStore& store,
               const EarlyStop& early_stop, Communicator& communicator, Log& log, DType compute);

  // On rank 0: where metrics and checkpoints go, either or both. `info` is completed with step,
  // position, metrics.
  struct Output {
    Metrics* metrics = nullptr;
    CheckpointWriter* checkpoints = nullptr;
    CheckpointInfo info;
  };
  // Called after every step with the number of steps done, on every rank.
  using AfterStep = std::function<void(int64_t steps)>;

  // Trains until options.steps, writes the last checkpoint if they ask for one, and returns.
  // Errors: requeue, the same on every rank, when it was asked to stop before, with a checkpoint of
  // the last step; NonFiniteLoss; those of loader, writer and communicator.
  void run(Output output, const AfterStep& after_step = {});

  const Accounting& accounting() const { return accounting_; }
  double samples_per_second() const;

 private:
  void compute(int64_t step, const std::function<void()>& finish);
  double rate(int64_t step) const;
  void append_metrics(const Output& output, int64_t step, const StepResult& result, double rate);
  void save(Output& output, int64_t steps, bool finished);
  [[noreturn]] void stop(const EarlyStop::Why& why, Output& output, int64_t steps);
  double seconds_ahead(const Output& output) const;
  bool checkpoint_due(int64_t steps) const;
  void show_progress(int64_t steps, double loss);
  void account(double seconds);

  LoopOptions options_;
  Streams& streams_;
  Trainer& trainer_;
  StateStore& store_;
  const EarlyStop& early_stop_;
  Communicator& communicator_;
  Log& log_;
  DType compute_;
  Accounting accounting_;
  double started_ = 0;
  double last_step_ = 0;     // when it ended
  double slowest_step_ = 0;  // seconds, the first left out
  double last_checkpoint_ = 0;
  double loss_sum_ = 0;  // since the last checkpoint
  int64_t loss_count_ = 0;
  int64_t steps_here_ = 0;
  bool running_ = false;  // a micro-batch, started and not finished
};

}  // namespace lacuna
