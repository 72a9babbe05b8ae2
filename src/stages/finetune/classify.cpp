// The task "classify": encoder and linear head trained whole with a fraction of the labels, from
// the run's weights or from scratch.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "comm/agree.h"
#include "data/load/loader.h"
#include "encoders/list.h"
#include "ops/elementwise.h"
#include "run/stored_state.h"
#include "stages/finetune/finetune.h"
#include "stages/setup/training.h"
#include "tasks/classify.h"
#include "tasks/features.h"
#include "train/loop.h"

namespace lacuna {

namespace {

// A network in training; made anew for each trial.
class Trial {
 public:
  Trial(const FinetuneJob& job, int64_t classes)
      : job_(job),
        store_(*job.compute.device),
        classifier_(encoder_factory(job.pretraining, job.train.modality().view()), classes,
                    Scope(store_, static_cast<uint64_t>(job.configuration.integer("seed")))) {
    if (job.configuration.is("task.start", "scratch")) return;
    std::vector<TensorTarget> targets;
    for (const TensorTarget& target : tensor_targets(store_)) {
      if (target.name.starts_with("encoder.")) targets.push_back(target);
    }
    load_state(job.checkpoint, targets, Match::subset, job.context.communicator);
  }

  // Trains on these samples of the training data at a peak learning rate, or goes on where the
  // folder holds a checkpoint. False when the loss is no number at some step.
  bool train(const std::vector<int64_t>& samples, double rate, uint64_t seed,
             const std::filesystem::path& folder) {
    const Configuration& c = job_.configuration;
    const TrainOptions options = train_options(c);
    StageContext& context = job_.context;
    Communicator& communicator = context.communicator;
    const Source& source = job_.train;
    const auto count = static_cast<int64_t>(samples.size());
    const int64_t steps = c.integer("task.steps");
    LoopPlan plan{.steps = steps,
                  .batch = batch_of(options, count),
                  .parts = options.accumulate,
                  .samples = count,
                  .schedule = {.peak = rate, .warmup = steps / 10, .total = steps},
                  .checkpoint_minutes = options.checkpoint_minutes,
                  .checkpoint_steps = options.checkpoint_steps,
                  .last_checkpoint = false};
    const Halves halves = source.loaded(source.modality().views(1), *job_.compute.device);
    const auto loss = [this](const Fields& fields, Recording& recording) {
      return classifier_.loss(fields, recording);
    };
    Trainer trainer = make_trainer(c, job_.compute.dtype, false, {loss, store_, halves.device},
                                   *job_.compute.device, communicator);
    const int64_t rows = std::max<int64_t>(1, plan.batch / communicator.size());
    trainer.prepare(empty_fields(halves.host->outputs(), rows, job_.compute.dtype),
                    std::vector<int64_t>(static_cast<size_t>(communicator.size()), rows));
    if (const auto checkpoint = find_on_all_ranks(folder, "last", context)) {
      load_state(*checkpoint, tensor_targets(store_), Match::all, communicator);
      plan.first_step = checkpoint->info.step;
      context.log.line("continuing ", folder.string(), " at step ", plan.first_step);
      tell_of_other_draws(*checkpoint, trainer, context.log);
    }
    TrainingLoop::Output output;
    std::unique_ptr<CheckpointWriter> writer;
    if (communicator.rank() == 0) {
      writer = std::make_unique<CheckpointWriter>(
          folder, CheckpointWriter::Keep{.last = 1, .best = false}, plan.first_step);
      output = {.metrics = nullptr, .checkpoints = writer.get(), .info = {}};
      output.info.seed = static_cast<int64_t>(seed);
      output.info.configuration = c.resolved();
      output.info.environment = job_.compute.environment;
      output.info.data = {source.identity()};
    }
    const OrderSpec order = source.order(seed, samples);
    Order counting(order);
    LoaderOptions loading = source.loading(communicator, job_.compute.threads);
    loading.batch = plan.batch / plan.parts;
    loading.position = plan.first_step * plan.batch;
    loading.end = steps * plan.batch;
    loading.seed = seed;
    Loader loader(source.dataset(), std::make_unique<Order>(order), halves.host, loading);
    TrainingLoop loop(plan, loader, trainer, store_, job_.early_stop, communicator, context.log,
                      job_.compute.dtype);
    try {
      loop.run([&](int64_t position,
                   int64_t n) { return counting.counts(position, n, communicator.size()); },
               std::move(output));
    } catch (const AgreedError& error) {
      if (error.status() != ExitStatus::bad_values) throw;
      return false;
    }
    if (writer) writer->wait();
    return true;
  }

  // Samples of a step where there are `count` in all: as many parts as asked for, of equal size.
  int64_t batch_of(const TrainOptions& options, int64_t count) const {
    const int64_t parts = options.accumulate;
    const int64_t batch = std::min(options.batch, count) / parts * parts;
    agreed(job_.context.communicator, [&] {
      if (batch == 0)
        bad_input("a trial learns from ", count, " samples, fewer than the ", parts,
                  " parts of train.accumulate: lower it, or raise task.labels");
    });
    return batch;
  }

  // The fraction of these samples of a source (all, if none are named) that is classified rightly.
  double accuracy(const Source& source, const std::vector<int64_t>& samples) {
    Communicator& communicator = job_.context.communicator;
    const OrderSpec order = source.order(0, samples);
    const int64_t count =
        samples.empty() ? source.dataset().samples() : static_cast<int64_t>(samples.size());
    LoaderOptions loading = source.loading(communicator, job_.compute.threads);
    loading.batch = std::min<int64_t>(512, count);
    loading.end = count;
    Loader loader(source.dataset(), std::make_unique<Order>(order), source.plain(), loading);
    Executor executor(*job_.compute.device);
    double right = 0;
    while (const std::optional<Batch> batch = loader.next()) {
      if (batch->local_count() == 0) continue;
      Recording recording{.communicator = communicator,
                          .training = false,
                          .compute = job_.compute.dtype,
                          .parameters = job_.compute.device->parameter_dtype(),
                          .rows = {batch->local_count()}};
      const Fields fields = fields_of(*batch, job_.compute.dtype);
      executor.run({count_correct(classifier_.logits(fields.view(0), recording), fields["label"])});
      right += executor.scalar(0);
    }
    communicator.all_reduce_sum(&right, 1, DType::f64).wait();
    return right / static_cast<double>(count);
  }

 private:
  const FinetuneJob& job_;
  StateStore store_;
  Classifier classifier_;
};

}  // namespace
namespace {

struct Classification {
  const FinetuneJob& job;
  Trials& trials;
  const std::vector<int64_t>& labels;
  int64_t classes;

  // The accuracy on `held_out` of the training samples, or on the test data if none are named; 0
  // where the training diverges.
  double accuracy_of(const std::vector<int64_t>& samples, double rate, uint64_t seed,
                     const std::vector<int64_t>& held_out,
                     const std::filesystem::path& folder) const {
    Trial trial(job, classes);
    if (!trial.train(samples, rate, seed, folder)) {
      job.context.log.line("at rate ", rate, " the loss became no number");
      return 0;
    }
    return trial.accuracy(held_out.empty() ? job.test : job.train, held_out);
  }

  TrialResult run(int64_t draw) const {
    const Configuration& c = job.configuration;
    const auto number = static_cast<uint64_t>(draw);
    const uint64_t seed = static_cast<uint64_t>(c.integer("seed")) + number;
    const std::vector<int64_t> chosen =
        label_subset(labels, c.number("task.labels"), seed - number, number);
    const Split split = hold_out_fifth(chosen, labels, seed);
    TrialResult best{.held_out_accuracy = 0, .chosen = 0};
    for (const double rate : c.numbers("task.rates")) {
      const std::string name = concat(draw_name(draw), ", rate ", json_text(rate));
      const TrialResult tried = trials.once(name, [&](const std::filesystem::path& folder) {
        const double held_out = accuracy_of(split.train, rate, seed, split.held_out, folder);
        job.context.log.line(name, ": held-out accuracy ", held_out);
        return TrialResult{.held_out_accuracy = held_out};
      });
      if (tried.held_out_accuracy > best.held_out_accuracy) {
        best.held_out_accuracy = tried.held_out_accuracy;
        best.chosen = rate;
      }
    }
    // The chosen rate again, with all labels of the draw.
    return trials.once(draw_name(draw), [&](const std::filesystem::path& folder) {
      best.test_accuracy = accuracy_of(chosen, best.chosen, seed, {}, folder);
      job.context.log.line(draw_name(draw), ": ", chosen.size(), " labels, accuracy ",
                           best.test_accuracy);
      return best;
    });
  }
};

}  // namespace

ReadyTask classify_task(const FinetuneJob& job) {
  agreed(job.context.communicator,
         [&] { check_parts(train_options(job.configuration), false, "classify"); });
  auto labels =
      std::make_shared<const std::vector<int64_t>>(job.train.labels(job.context.communicator));
  const int64_t classes = class_count(*labels);
  const Trial fits(job, classes);  // or is refused before the run's folder is made
  return [&job, labels, classes](Trials& trials) {
    const Classification task{job, trials, *labels, classes};
    std::vector<TrialResult> results;
    for (int64_t draw = 0; draw < job.configuration.integer("task.draws"); ++draw) {
      results.push_back(task.run(draw));
    }
    return results;
  };
}

}  // namespace lacuna
