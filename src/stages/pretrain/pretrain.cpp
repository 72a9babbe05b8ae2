// pretrain: trains an encoder without labels, or continues a run.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/text.h"
#include "comm/agree.h"
#include "data/load/access_pattern.h"
#include "data/load/streams.h"
#include "run/run.h"
#include "run/stored_state.h"
#include "stages/keys/schema.h"
#include "stages/pretrain/roll_back.h"
#include "stages/pretrain/snapshots.h"
#include "stages/pretrain/stage.h"
#include "stages/setup/common_options.h"
#include "stages/setup/compute.h"
#include "stages/setup/hold.h"
#include "stages/setup/load_configuration.h"
#include "stages/setup/model.h"
#include "stages/setup/plan_file.h"
#include "stages/setup/source.h"
#include "stages/setup/stopping.h"
#include "stages/setup/training.h"
#include "stages/setup/without_effect.h"
#include "train/loop.h"

namespace lacuna {

namespace {

std::filesystem::path run_folder(const Arguments& arguments) {
  return arguments.given("run") ? std::filesystem::path(arguments.value("run"))
                                : default_run_folder(arguments.argument());
}

// Keys that a continued run may change: the checkpoint tells since when batches are as they are.
Changeable changeable() { return {.may_change = {"train.batch"}}; }

// Whether there is a run that this one continues; rank 0 looks, and refuses what does not fit.
bool continues(const std::filesystem::path& folder, const Configuration& configuration,
               Communicator& communicator) {
  return asked_of_rank_0(communicator, [&] {
    if (!run_exists(folder)) return false;
    check_run(folder, configuration, schema_of("pretrain"), changeable());
    return true;
  });
}

// Rank 0 makes the run folder, or opens it to continue.
void open_on_all_ranks(const std::filesystem::path& folder, const Configuration& configuration,
                       bool anew, StageContext& context) {
  agreed(context.communicator, [&] {
    if (context.communicator.rank() != 0) return;
    const OpenedRun run =
        open_run(folder, configuration, schema_of("pretrain"), anew, changeable());
    for (const std::string& note : run.notes) context.log.line(note);
  });
}

void start_from(const std::filesystem::path& other, Model& model, StageContext& context) {
  const Checkpoint checkpoint = checkpoint_on_all_ranks(other, "last", context);
  // Weights only: momenta belong to the old run.
  std::vector<TensorTarget> targets;
  for (State& state : model.store().all()) {
    if (state.role() == Role::optimizer) continue;
    if (checkpoint.find(state.name()) == nullptr) continue;
    targets.push_back(target_of(state));
  }
  load_state(checkpoint, targets, Match::subset, context.communicator);
  context.log.line("starting from step ", checkpoint.info.step, " of ", other.string(), ": ",
                   targets.size(), " tensors taken over");
}

// Of the data on a disk of this node, begun; null where none are wanted.
std::unique_ptr<LocalCopies> local_copies(const Configuration& configuration,
                                          const std::filesystem::path& run, const Dataset& dataset,
                                          const Compute& compute, Log& log) {
  // Every node has a disk of its own, and may be the only one on which it is full.
  const auto warn = [&log](const std::string& sentence) {
    if (log.speaks())
      log.warning(sentence);
    else
      std::fputs(error_message(concat("warning of ", this_runner().host, ": ", sentence)).c_str(),
                 stderr);
  };
  const std::string& folder = configuration.path("data.stage");
  if (folder.empty()) return nullptr;
  return std::make_unique<LocalCopies>(
      dataset, folder, std::filesystem::absolute(run).string(),
      LocalCopies::Share{.rank = compute.local_rank, .ranks = compute.local_ranks}, warn);
}

// `batches`: of all steps.
LoopOptions loop_options_of(const Configuration& configuration, const TrainOptions& options,
                            int64_t samples, int64_t steps, const BatchTable& batches) {
  LoopOptions loop_options{.steps = steps,
                           .batches = batches,
                           .micro_batches = options.accumulate,
                           .samples = samples,
                           .checkpoint_minutes = options.checkpoint_minutes,
                           .checkpoint_steps = options.checkpoint_steps};
  loop_options.schedule = {
      .peak = configuration.number("optimizer.lr"),
      .warmup = static_cast<int64_t>(configuration.number("optimizer.warmup") *
                                     static_cast<double>(loop_options.samples) /
                                     static_cast<double>(options.batch)),
      .total = steps};
  return loop_options;
}

// The position follows from the table of batches; and a step of this program has one stream as long
// as no objective names another.
void require_position(const Checkpoint& checkpoint) {
  if (checkpoint.info.step > 0 && checkpoint.info.batches.empty())
    bad_input(checkpoint.folder.string(),
              " does not tell how many samples its steps took: use another checkpoint");
  if (checkpoint.info.streams.empty()) return;
  bad_input(checkpoint.folder.string(), " is of a run that was also fed by the streams ",
            join(checkpoint.info.streams),
            ": continue it with the version of Lacuna that wrote it, ",
            checkpoint.info.environment.code_version);
}

// Takes over a checkpoint's state, and returns its metrics.
MetricsTable take_over(const Checkpoint& checkpoint, Model& model, const Compute& compute,
                       StageContext& context) {
  load_state(checkpoint, tensor_targets(model.store()), Match::all, context.communicator);
  const MetricsTable& metrics = checkpoint.info.metrics;
  agreed(context.communicator, [&] {
    if (!metrics.step.empty() && metrics.step.back() >= checkpoint.info.step)
      bad_input(checkpoint.folder.string(),
                " holds metrics of a step that is not done: use another checkpoint");
  });
  const std::string differ =
      environment_differences(checkpoint.info.environment, compute.environment);
  if (!differ.empty())
    context.log.warning("this restart will not be bit for bit what an uninterrupted run gives: ",
                        differ);
  return metrics;
}

// What a training is made of; all outlives it.
struct Setup {
  const std::filesystem::path& folder;
  const Configuration& configuration;
  const TrainOptions& options;
  const EarlyStop& early_stop;
  const Source& source;
  RecipePointer recipe;  // of what a rank loads
  Compute& compute;
  Model& model;
  Trainer& trainer;
  Snapshots& snapshots;
  StageContext& context;
};

// From a state to the end of the run, with what is written on the way.
class PretrainingRun {
 public:
  // Collective. The run's folder is there; `metrics`: of the steps that are done.
  PretrainingRun(Setup setup, LoopOptions loop_options, MetricsTable metrics);

  // Collective. `checkpoint`: step of the checkpoint that the state is of, 0 for none.
  void run(int64_t checkpoint);

 private:
  void tell_reading();
  void open_output(MetricsTable metrics);
  void open_checkpoints(int64_t continued_from);
  void train_from(int64_t checkpoint, int64_t first_step);
  void follow_batches(int64_t first_step);
  void run_loop(TrainingLoop& loop);
  void after_step(int64_t steps_done);
  void require_folder();

  Setup setup_;
  Communicator& communicator_;
  Log& log_;
  LoopOptions loop_options_;
  std::unique_ptr<LocalCopies> copies_;
  std::vector<Stream> streams_;
  // On rank 0.
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<CheckpointWriter> writer_;
  TrainingLoop::Output output_;
};

PretrainingRun::PretrainingRun(Setup setup, LoopOptions loop_options, MetricsTable metrics)
    : setup_(std::move(setup)),
      communicator_(setup_.context.communicator),
      log_(setup_.context.log),
      loop_options_(std::move(loop_options)) {
  const Dataset& dataset = setup_.source.dataset();
  copies_ = local_copies(setup_.configuration, setup_.folder, dataset, setup_.compute, log_);
  LoaderOptions loading = setup_.source.loading(communicator_, setup_.compute.threads);
  loading.copies = copies_.get();
  loading.seed = setup_.options.seed;
  streams_ = {{"", &dataset, setup_.source.order(loading.seed), setup_.recipe, loading}};
  tell_reading();
  open_output(std::move(metrics));
}

void PretrainingRun::tell_reading() {
  const int ranks = communicator_.size();
  const std::vector<int64_t>& rows = loop_options_.batches.rows(loop_options_.steps);
  for (size_t i = 0; i < streams_.size(); ++i) {
    const Stream& stream = streams_[i];
    const AccessPattern pattern =
        access_pattern(*stream.dataset, stream.order, rows[i], ranks, stream.loading.buffer);
    for (const std::string& line :
         reading_lines(*stream.dataset, stream.order, pattern, ranks, stream.name))
      log_.line(line);
  }
}

void PretrainingRun::open_output(MetricsTable metrics) {
  agreed(communicator_, [&] {
    if (communicator_.rank() != 0) return;
    metrics_ = std::make_unique<Metrics>(setup_.folder / "metrics.jsonl", std::move(metrics));
    output_.metrics = metrics_.get();
    output_.info.seed = static_cast<int64_t>(setup_.options.seed);
    output_.info.configuration = setup_.configuration.resolved();
    output_.info.environment = setup_.compute.environment;
    output_.info.data = setup_.source.identities();
  });
}

void PretrainingRun::open_checkpoints(int64_t continued_from) {
  agreed(communicator_, [&] {
    if (communicator_.rank() != 0) return;
    writer_ = std::make_unique<CheckpointWriter>(
        setup_.folder, CheckpointWriter::Keep{.last = setup_.options.keep, .best = true},
        continued_from);
    output_.checkpoints = writer_.get();
  });
}

void PretrainingRun::run(int64_t checkpoint) {
  RollBack(setup_.folder, setup_.configuration.is("train.on_bad_loss", "roll_back"),
           setup_.model.store(), setup_.trainer, setup_.context)
      .run(checkpoint, [&](int64_t from, int64_t first_step) { train_from(from, first_step); });
}

void PretrainingRun::train_from(int64_t checkpoint, int64_t first_step) {
  open_checkpoints(checkpoint);
  loop_options_.first_step = first_step;
  follow_batches(first_step);
  setup_.snapshots.begin(setup_.folder, first_step, loop_options_.batches);
  Streams streams(streams_, loop_options_.batches,
                  {first_step, loop_options_.steps, loop_options_.micro_batches});
  TrainingLoop loop(loop_options_, streams, setup_.trainer, setup_.model.store(), setup_.early_stop,
                    communicator_, log_, setup_.compute.dtype);
  run_loop(loop);
  require_folder();
  for (const std::string& line : accounting_lines(loop.accounting())) log_.line(line);
  log_.line("finished: ", loop_options_.steps, " steps, ",
            static_cast<int64_t>(loop.samples_per_second()), " samples/s; the run is ",
            setup_.folder.string());
}

// From this step on the batch is the configuration's. After a bad loss that may be from an earlier
// one on than when the run was continued, and so to another last step.
void PretrainingRun::follow_batches(int64_t first_step) {
  const int64_t batch = setup_.options.batch;
  loop_options_.steps =
      steps_to_do(setup_.options, loop_options_.samples, first_step, loop_options_.batches);
  loop_options_.batches.change(first_step, {batch});
  loop_options_.schedule.total = loop_options_.batches.position(loop_options_.steps) / batch;
}

void PretrainingRun::run_loop(TrainingLoop& loop) {
  try {
    loop.run(output_, [&](int64_t steps_done) { after_step(steps_done); });
  } catch (const NonFiniteLoss&) {
    agreed(communicator_, [&] {
      if (writer_) writer_->wait();
    });
    throw;
  } catch (const AgreedError& error) {
    if (error.status() == ExitStatus::requeue) require_folder();
    throw;
  }
}

void PretrainingRun::after_step(int64_t steps_done) {
  const Compute& compute = setup_.compute;
  if (steps_done == loop_options_.first_step + 1 && !compute.engines.empty())
    log_.line("train.plans has plans for ",
              plans_taken(compute.engines, compute.device->library_plans()));
  setup_.snapshots.after_step(steps_done);
}

void PretrainingRun::require_folder() {
  agreed(communicator_, [&] {
    if (communicator_.rank() != 0 || run_exists(setup_.folder / "config.toml")) return;
    bad_input(setup_.folder.string(),
              " was removed while the run went on, and what is there now is no run: put its "
              "config.toml back if the checkpoints are wanted, or start again");
  });
}

}  // namespace

namespace {

Syntax pretrain_syntax() {
  return {.stage = "pretrain",
          .argument = "CONFIG.toml",
          .argument_doc = "The experiment; its keys are in docs/configuration.md.",
          .summary = "Trains an encoder without labels, or continues a run.",
          .options = {settings_option(),
                      run_folder_option(),
                      {.name = "init-from",
                       .argument = "RUN",
                       .doc = "Starts a new run from the weights of another one."},
                      max_hours_option(),
                      force_option("a run"),
                      {.name = "eager",
                       .argument = "",
                       .doc = "Executes operation by operation, without plan and fusion."}}};
}

ExitStatus pretrain(const Arguments& arguments, StageContext& context) {
  Communicator& communicator = context.communicator;
  Log& log = context.log;
  const Configuration configuration = load_configuration(
      arguments.argument(), schema_of("pretrain"), arguments.values("set"), communicator);
  const TrainOptions options = train_options(configuration);
  log.set_interval(options.log_interval);
  const EarlyStop early_stop = early_stop_of(arguments, options, context);

  // The run's folder is made, or changed, only once everything has been found good.
  const std::filesystem::path folder = run_folder(arguments);
  Hold hold(folder, Hold::Kind::run, context);
  const bool anew = begins_anew(folder, arguments, context);
  const bool old = !anew && continues(folder, configuration, communicator);
  const auto checkpoint = old ? find_on_all_ranks(folder, "last", context) : std::nullopt;
  Source source(configuration, communicator, log,
                {.like = checkpoint ? &*checkpoint : nullptr, .all_parts = true});
  agreed(communicator, [&] {
    if (checkpoint) source.require_same_data(*checkpoint);
  });
  const int64_t done = checkpoint ? checkpoint->info.step : 0;
  BatchTable batches = checkpoint ? checkpoint->info.batches : BatchTable();
  agreed(communicator, [&] {
    if (checkpoint) require_position(*checkpoint);
  });
  const int64_t steps = steps_to_do(options, source.dataset().samples(), done, batches);
  if (done > 0 && done < steps && batches.rows(done)[0] != options.batch)
    log.line("from step ", done, " on, a step takes ", options.batch, " samples; it took ",
             batches.rows(done)[0]);
  batches.change(done, {options.batch});
  agreed(communicator,
         [&] { check_sizes(options, steps, source.dataset().samples(), communicator.size()); });
  if (checkpoint && done >= steps) {
    log.line(folder.string(), " is finished: ", done, " steps are done");
    return ExitStatus::finished;
  }

  Compute compute =
      make_compute(options, context, checkpoint ? checkpoint->info.environment.precision : "");
  const auto made = agreed(communicator, [&] {
    return std::make_unique<Model>(configuration, source.parts(), *compute.device);
  });
  Model& model = *made;
  source.keep_facts(model.store());
  agreed(communicator, [&] {
    check_micro_batches(options, model.objective().spans_batch(),
                        configuration.text("objective.name"));
  });
  const std::optional<std::string> repeated = agreed(communicator, [&] {
    // A run that has begun so goes on.
    return repeated_samples(options, source.dataset().samples(),
                            !checkpoint && model.objective().spans_batch(),
                            configuration.text("objective.name"));
  });
  if (repeated) log.warning(*repeated);
  const RecipePointer recipe = model.objective().recipe();
  const Halves halves = source.loaded(recipe, *compute.device);
  for (const std::string& sentence : without_effect(configuration, *recipe)) log.warning(sentence);
  Trainer trainer = make_trainer(configuration, compute.dtype, arguments.given("eager"),
                                 trainable(model, halves), *compute.device, communicator);
  const int64_t rows = std::max<int64_t>(1, options.batch / communicator.size());
  trainer.prepare(empty_fields(halves.host->outputs(), rows, compute.dtype),
                  std::vector<int64_t>(static_cast<size_t>(communicator.size()), rows));

  const LoopOptions loop_options =
      loop_options_of(configuration, options, source.dataset().samples(), steps, batches);
  MetricsTable metrics;
  if (checkpoint)
    metrics = take_over(*checkpoint, model, compute, context);
  else if (arguments.given("init-from"))
    start_from(arguments.value("init-from"), model, context);
  Snapshots snapshots(configuration, source, model.objective(), compute, context);
  open_on_all_ranks(folder, configuration, anew, context);
  if (checkpoint) {
    log.line("continuing ", folder.string(), " at step ", done);
    tell_of_other_draws(*checkpoint, trainer, log);
  }
  if (old && !checkpoint)
    log.line(folder.string(), " has no checkpoint to go on from: it begins at step 0");
  PretrainingRun run({.folder = folder,
                      .configuration = configuration,
                      .options = options,
                      .early_stop = early_stop,
                      .source = source,
                      .recipe = halves.host,
                      .compute = compute,
                      .model = model,
                      .trainer = trainer,
                      .snapshots = snapshots,
                      .context = context},
                     loop_options, std::move(metrics));
  const auto work = [&] {
    run.run(done);
    return ExitStatus::finished;
  };
  return hold.attempt(
      folder / attempts_name, [&] { return newest_checkpoint_text(folder); }, work);
}

}  // namespace

Stage pretrain_stage() { return {pretrain_syntax(), true, pretrain}; }

}  // namespace lacuna
