// Trainer: one training step of any model — record the loss, differentiate, sum the gradients over
// ranks in buckets, update. It knows a model as a function from fields to a share of the loss.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/executor.h"
#include "graph/forward_context.h"
#include "nn/fields.h"
#include "train/loss_scale.h"
#include "train/optimizer.h"

namespace lacuna {

struct StepOptions {
  DType compute = DType::f32;  // dtype of activations
  bool synchronise_statistics = true;
  double clip = 0;                        // largest norm of the gradient; 0: none
  bool shard_optimizer = false;           // its State dealt out to the ranks (train/optimizer.h)
  size_t bucket_bytes = size_t{4} << 20;  // of gradients per collective
  // Parts that a step's batch is taken in, one after the other; their gradients are averaged.
  int64_t micro_batches = 1;
  PlanOptions plan;
};

struct StepResult {
  double loss = 0;
  double gradient_norm = 0;  // 0 unless clipping is on, or loss scaling, which needs it
  std::map<std::string, double> metrics;  // summed over ranks
  std::vector<double> votes;              // likewise
};

class Trainer {
 public:
  using Loss = std::function<Tensor(const Fields&, ForwardContext&)>;
  // What the device makes of the fields before the loss sees them.
  using OnDevice = std::function<Fields(const Fields&, DType compute)>;

  Trainer(Device& device, Communicator& communicator, StateStore& store, Loss loss,
          std::unique_ptr<Optimizer> optimizer, StepOptions options, OnDevice on_device = {});

  // The factor on the learning rate of each parameter; before prepare().
  void set_rate_factor(Optimizer::RateFactor factor) {
    optimizer_->set_rate_factor(std::move(factor));
  }
  // Finds which parameters the loss depends on, by recording it once for fields of these shapes,
  // and makes the optimizer's State and, for float16, the loss scale. Call once, before a
  // checkpoint is loaded. The fields need no keys, since nothing is computed. Where there are
  // several micro-batches, a loss over several counts (nn/loss.h: loss_of_means) is bad_input.
  void prepare(const Fields& example, const std::vector<int64_t>& rows);

  // A step is one micro-batch or, accumulating, several; each is recorded, started and finished.
  // `rows`: of the micro-batch's global batch, per rank; `step` counts from 0; `progress` in [0,
  // 1]. The last micro-batch updates the parameters, others only add up their gradients;
  // normalisation sees the micro-batch alone. Where a gradient is not finite, no weight changes.
  //
  // record() may go before finish() of the micro-batch before, so that a device computes while the
  // host records; not where records_ahead() is false. The memory behind the fields is read until
  // start() returns.
  void record(const Fields& fields, const std::vector<int64_t>& rows, int64_t step, double rate,
              double progress);
  void start();
  // Waits for what was started last; the step's result after its last micro-batch. `votes` of this
  // rank are summed with it, of a step's last micro-batch.
  std::optional<StepResult> finish(std::vector<double> votes = {});
  // After a step that is not to count: what was recorded behind it is forgotten, and a step begins
  // anew.
  void abandon();
  // The loss scale follows the gradients of the step before.
  bool records_ahead() const { return !loss_scale_; }

  // All three, of a micro-batch but the last, and of the last.
  void accumulate(const Fields& fields, const std::vector<int64_t>& rows, int64_t step,
                  double progress);
  StepResult step(const Fields& fields, const std::vector<int64_t>& rows, int64_t step, double rate,
                  double progress);

  // The gradients that a step would use (summed over ranks), by parameter, without an update.
  std::map<std::string, HostTensor> gradients(const Fields& fields,
                                              const std::vector<int64_t>& rows);

  const std::vector<State*>& parameters() const { return parameters_; }
  // Whether layers draw in a step; known once prepared.
  bool layers_draw() const { return layers_draw_; }
  const Executor& executor() const { return executor_; }
  void observe(Executor::Observer observer) { executor_.observe(std::move(observer)); }

 private:
  // A micro-batch on its way: where its results are among the outputs.
  struct MicroBatch {
    std::vector<std::string> metrics;  // behind the loss
    size_t norm = 0;                   // 0: none
    size_t count = 0;                  // likewise
    bool last = true;
  };
  ForwardContext context_of(std::span<const SampleKey> keys, const std::vector<int64_t>& rows,
                            double progress, const std::map<std::string, StreamRows>& streams = {});
  Tensor record_loss(const Fields& fields, ForwardContext& forward) const;
  void prepare_counts(const Tensor& loss, const ForwardContext& forward);
  Tensor record_total_count(ForwardContext& forward) const;
  std::vector<Tensor> record_sums(const Tensor& loss);
  std::vector<Tensor> record_updates(const Tensor& loss, double rate, int64_t step);
  std::vector<Tensor> differentiate_all(const Tensor& loss, const std::vector<State*>& by);
  Tensor record_norm(const std::vector<Tensor>& gradients,
                     const std::vector<SparseGradient>& of_tables) const;
  bool sharded() const { return options_.shard_optimizer && communicator_.size() > 1; }
  using Sum = std::vector<Tensor> (*)(const std::vector<Tensor>&, Communicator&);
  std::vector<Tensor> reduced(std::vector<Tensor> gradients, Sum sum) const;
  void record_gather(ForwardContext& forward) const;
  void add_results(const MicroBatch& micro_batch, std::vector<double> votes);
  void divide_results();
  void follow(double norm);

  Device& device_;
  Communicator& communicator_;
  StateStore& store_;
  Loss loss_;
  OnDevice on_device_;
  std::unique_ptr<Optimizer> optimizer_;
  StepOptions options_;
  HostTensor one_;  // d(loss)/d(loss) of a micro-batch: the loss scale / micro-batches
  std::optional<LossScale> loss_scale_;
  double scale_ = 1;  // of the loss of this step
  bool layers_draw_ = false;
  std::vector<State*> parameters_;
  std::vector<State*> dense_, tables_;  // of them, those with dense and with sparse gradients
  StateStore sums_;             // gradients of the micro-batches so far; not part of a checkpoint
  std::vector<State*> sum_of_;  // by parameter
  std::vector<State*>
      counts_;  // of each micro-batch but the last, f64 [1], where they divide the loss
  int64_t micro_batches_recorded_ = 0;  // of the step
  std::optional<ForwardContext> forward_;
  MicroBatch recorded_, started_;
  StepResult result_;  // of the micro-batches so far
  double result_count_ = 0;
  Executor executor_;
};

}  // namespace lacuna
