// Tasks that train a network: an encoder with a linear layer behind it, with a fraction of the
// labels, from the run's weights or from scratch.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "comm/agree.h"
#include "data/load/loader.h"
#include "encoders/list.h"
#include "run/stored_state.h"
#include "stages/finetune/finetune.h"
#include "stages/finetune/finetuned_model.h"
#include "stages/setup/training.h"
#include "tasks/network.h"
#include "train/loop.h"

namespace lacuna {

namespace {

// Samples of a step where there are `count` in all: as many parts as asked for, of equal size.
int64_t batch_of(const TrainOptions& options, int64_t count) {
  const int64_t parts = options.accumulate;
  const int64_t batch = std::min(options.batch, count) / parts * parts;
  if (batch == 0)
    bad_input("a trial learns from ", count, " samples, fewer than the ", parts,
              " parts of train.accumulate: lower it, or raise task.labels");
  return batch;
}

// A network in training; made anew for each trial.
class Trial {
 public:
  Trial(const FinetuneJob& job, const NetworkTask& task)
      : job_(job),
        task_(task),
        store_(*job.compute.device),
        network_(encoder_factory(job.pretraining, job.data.train.modality()), task.outputs(),
                 Scope(store_, static_cast<uint64_t>(job.configuration.integer("seed"))),
                 job.configuration.is("task.encoder", "frozen")) {
    if (job.configuration.is("task.start", "scratch")) return;
    std::vector<TensorTarget> targets;
    for (const TensorTarget& target : tensor_targets(store_)) {
      if (target.name.starts_with("encoder.")) targets.push_back(target);
    }
    load_state(job.checkpoint, targets, Match::subset, job.context.communicator);
  }

  // Trains on these samples of the training data at a peak learning rate, or goes on where the
  // folder holds a checkpoint. False when the loss is not finite at some step.
  bool train(const std::vector<int64_t>& samples, double rate, uint64_t seed,
             const std::filesystem::path& folder) {
    const Configuration& c = job_.configuration;
    const TrainOptions options = train_options(c);
    StageContext& context = job_.context;
    Communicator& communicator = context.communicator;
    const Source& source = job_.data.train;
    const auto count = static_cast<int64_t>(samples.size());
    const int64_t steps = c.integer("task.steps");
    LoopOptions loop_options{.steps = steps,
                             .batches = BatchTable::constant(
                                 {agreed(communicator, [&] { return batch_of(options, count); })}),
                             .micro_batches = options.accumulate,
                             .samples = count,
                             .schedule = {.peak = rate, .warmup = steps / 10, .total = steps},
                             .checkpoint_minutes = options.checkpoint_minutes,
                             .checkpoint_steps = options.checkpoint_steps,
                             .last_checkpoint = false};
    const Halves halves = labelled(source.loaded(source.modality().views(1), *job_.compute.device));
    const auto loss = [this](const Fields& fields, ForwardContext& forward) {
      return task_.loss(network_(fields.masked_view(0), forward), fields, forward);
    };
    Trainer trainer = make_trainer(c, job_.compute.dtype, false, {loss, store_, halves.device},
                                   *job_.compute.device, communicator);
    if (const double decay = c.number("task.layer_decay"); decay != 1) {
      trainer.set_rate_factor(
          [this, decay](const State& parameter) { return network_.rate_factor(parameter, decay); });
    }
    const int64_t rows =
        std::max<int64_t>(1, loop_options.batches.rows(0)[0] / communicator.size());
    trainer.prepare(empty_fields(halves.host->outputs(), rows, job_.compute.dtype),
                    std::vector<int64_t>(static_cast<size_t>(communicator.size()), rows));
    if (const auto checkpoint = find_on_all_ranks(folder, "last", context)) {
      load_state(*checkpoint, tensor_targets(store_), Match::all, communicator);
      loop_options.first_step = checkpoint->info.step;
      context.log.line("continuing ", folder.string(), " at step ", loop_options.first_step);
      tell_of_other_draws(*checkpoint, trainer, context.log);
    }
    TrainingLoop::Output output;
    std::unique_ptr<CheckpointWriter> writer;
    if (communicator.rank() == 0) {
      writer = std::make_unique<CheckpointWriter>(
          folder, CheckpointWriter::Keep{.last = 1, .best = false}, loop_options.first_step);
      output = {.metrics = nullptr, .checkpoints = writer.get(), .info = {}};
      output.info.seed = static_cast<int64_t>(seed);
      output.info.configuration = c.resolved();
      output.info.environment = job_.compute.environment;
      output.info.data = {source.identity()};
    }
    LoaderOptions loading = source.loading(communicator, job_.compute.threads);
    loading.seed = seed;
    Streams streams({{"", &source.dataset(), source.order(seed, samples), halves.host, loading}},
                    loop_options.batches,
                    {loop_options.first_step, steps, loop_options.micro_batches});
    TrainingLoop loop(loop_options, streams, trainer, store_, job_.early_stop, communicator,
                      context.log, job_.compute.dtype);
    try {
      loop.run(std::move(output));
    } catch (const AgreedError& error) {
      if (error.status() != ExitStatus::bad_values) throw;
      return false;
    }
    if (writer) writer->wait();
    return true;
  }

  // Scores of these samples of a source (all, if none are named).
  std::unique_ptr<Scorer> scores(const Source& source, const Targets& targets,
                                 const std::vector<int64_t>& samples,
                                 std::unique_ptr<Scorer> scorer) {
    Communicator& communicator = job_.context.communicator;
    const OrderSpec order = source.order(0, samples);
    const int64_t count =
        samples.empty() ? source.dataset().samples() : static_cast<int64_t>(samples.size());
    LoaderOptions loading = source.loading(communicator, job_.compute.threads);
    loading.batch = std::min<int64_t>(512, count);
    loading.end = count;
    Loader loader(source.dataset(), std::make_unique<Order>(order), source.plain(), loading);
    Executor executor(*job_.compute.device);
    while (const std::optional<Batch> batch = loader.next()) {
      if (batch->local_count() == 0) continue;
      ForwardContext forward{.communicator = communicator,
                             .training = false,
                             .compute = job_.compute.dtype,
                             .parameters = job_.compute.device->parameter_dtype(),
                             .rows = {batch->local_count()}};
      const Fields fields = fields_of(*batch, job_.compute.dtype);
      executor.run({network_(fields.masked_view(0), forward)});
      scorer->add(task_.predicted(executor.output(0)), targets, batch->samples);
    }
    scorer->reduce(communicator);
    return scorer;
  }

  // Collective.
  void keep() const {
    std::vector<const State*> state;
    for (const State& each : store_.all())
      if (each.name().starts_with("encoder.") || each.name().starts_with("head."))
        state.push_back(&each);
    keep_model(job_, task_, state, nullptr);
  }

 private:
  // With the classes or marks of the samples; values are the task's own.
  Halves labelled(Halves halves) const {
    const Targets& targets = job_.data.targets.train;
    if (targets.type == TargetType::values) return halves;
    const Shape row = targets.type == TargetType::marks ? Shape{targets.width} : Shape{};
    halves.host = with_labels(halves.host, row, targets.classes);
    return halves;
  }

  const FinetuneJob& job_;
  const NetworkTask& task_;
  StateStore store_;
  FineTunedNetwork network_;
};

class NetworkDraws {
 public:
  NetworkDraws(const FinetuneJob& job, const TaskEntry& entry, Trials& trials)
      : job_(job), entry_(entry), trials_(trials), strata_(strata(job.data.targets.train)) {}

  TrialResult run(int64_t draw) const {
    const Configuration& c = job_.configuration;
    const auto number = static_cast<uint64_t>(draw);
    const uint64_t seed = static_cast<uint64_t>(c.integer("seed")) + number;
    const std::vector<int64_t> labelled = labelled_samples(c, job_.data.targets.train, draw);
    const Split split = agreed(job_.context.communicator, [&] {
      return hold_out_fifth(labelled, strata_, job_.data.targets.hold_out, seed);
    });
    const std::unique_ptr<NetworkTask> task = entry_.make_network(parts_of(job_, &labelled));
    TrialResult best;
    const std::vector<double>& rates = c.numbers("task.rates");
    if (split.held_out.empty()) {
      tell_that_none_is_held_out(job_.context.log, draw, rates[0]);
      best = {.test = {}, .held_out = task->scorer()->scores(), .chosen = rates[0]};
    }
    std::vector<std::vector<Score>> found;
    for (const double rate : split.held_out.empty() ? std::vector<double>() : rates) {
      const TrialResult tried = try_rate(*task, draw, rate, split, seed);
      if (tried.held_out.empty()) continue;
      found.push_back(tried.held_out);
      if (best.held_out.empty() || is_better(tried.held_out[0], best.held_out[0])) {
        best.held_out = tried.held_out;
        best.chosen = rate;
      }
    }
    if (best.held_out.empty())
      throw AgreedError(ExitStatus::bad_values,
                        concat("at every rate of task.rates the loss became no number in ",
                               draw_name(draw), ": give lower ones"),
                        0);
    tell_of_ties(job_.context.log, draw, found, best.chosen);
    // The chosen rate again, with all labels of the draw.
    return trials_.once(draw_name(draw), [&](const std::filesystem::path& folder) {
      Trial trial(job_, *task);
      if (trained(trial, draw_name(draw), labelled, best.chosen, seed, folder)) {
        if (draw == 0) trial.keep();
        std::unique_ptr<Scorer> scorer = task->scorer();
        scorer->bootstrap(seed);
        best.test =
            trial.scores(job_.data.test, job_.data.targets.test, {}, std::move(scorer))->scores();
      } else {
        job_.context.log.warning(draw_name(draw), " has no score, for with all labels it diverged ",
                                 "at the rate ", best.chosen, ", which did best on the held-out ",
                                 "ones: give lower ones in task.rates");
      }
      tell_of_draw(job_.context.log, draw, labelled.size(), best);
      return best;
    });
  }

 private:
  // False where the training diverges, which it says.
  bool trained(Trial& trial, const std::string& name, const std::vector<int64_t>& samples,
               double rate, uint64_t seed, const std::filesystem::path& folder) const {
    if (trial.train(samples, rate, seed, folder)) return true;
    job_.context.log.line(name, ": at rate ", rate, " the loss became no number");
    return false;
  }

  TrialResult try_rate(const NetworkTask& task, int64_t draw, double rate, const Split& split,
                       uint64_t seed) const {
    const std::string name = concat(draw_name(draw), ", rate ", json_text(rate));
    return trials_.once(name, [&](const std::filesystem::path& folder) {
      Trial trial(job_, task);
      TrialResult tried;
      if (!trained(trial, name, split.train, rate, seed, folder)) return tried;
      tried.held_out =
          trial.scores(job_.data.train, job_.data.targets.train, split.held_out, task.scorer())
              ->scores();
      job_.context.log.line(name, ": held-out ", tried.held_out[0].name, " ",
                            tried.held_out[0].value);
      return tried;
    });
  }

  const FinetuneJob& job_;
  const TaskEntry& entry_;
  Trials& trials_;
  std::vector<int64_t> strata_;
};

}  // namespace

namespace {

// Of the first draw; others have as many samples.
void check_batch(const FinetuneJob& job, const TaskEntry& entry) {
  const TrainOptions options = train_options(job.configuration);
  const Targets& targets = job.data.targets.train;
  const std::vector<int64_t> samples = labelled_samples(job.configuration, targets, 0);
  const auto count = static_cast<int64_t>(samples.size());
  agreed(job.context.communicator, [&] {
    check_micro_batches(options, false, std::string(entry.name));
    const Split split =
        hold_out_fifth(samples, strata(targets), job.data.targets.hold_out, options.seed);
    if (!split.held_out.empty()) batch_of(options, static_cast<int64_t>(split.train.size()));
    batch_of(options, count);
  });
  if (options.batch > count)
    job.context.log.line("a draw has ", counted(count, "label"),
                         ", fewer than train.batch = ", options.batch,
                         ": a step takes no more samples than there are");
}

}  // namespace

ReadyTask ready_network(const FinetuneJob& job, const TaskEntry& entry) {
  check_batch(job, entry);
  const std::unique_ptr<NetworkTask> task = entry.make_network(parts_of(job));
  const Trial fits(job, *task);  // or is refused before the run's folder is made
  return [&job, &entry](Trials& trials) {
    const NetworkDraws draws(job, entry, trials);
    std::vector<TrialResult> results;
    for (int64_t draw = 0; draw < job.configuration.integer("task.draws"); ++draw)
      results.push_back(draws.run(draw));
    return results;
  };
}

}  // namespace lacuna
