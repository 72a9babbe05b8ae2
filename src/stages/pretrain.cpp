// pretrain: trains an encoder without labels, or continues a run.
#include <cstdio>
#include <filesystem>

#include "comm/agree.h"
#include "data/access_pattern.h"
#include "data/loader.h"
#include "data/order.h"
#include "stages/compute.h"
#include "stages/hold.h"
#include "stages/load_configuration.h"
#include "stages/model.h"
#include "stages/plan_file.h"
#include "stages/roll_back.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "stages/stopping.h"
#include "stages/training.h"
#include "stages/watch.h"
#include "train/loop.h"
#include "train/run.h"
#include "train/stored_state.h"

namespace lacuna {

namespace {

std::filesystem::path run_folder(const Arguments& arguments) {
  return arguments.given("run") ? std::filesystem::path(arguments.value("run"))
                                : default_run_folder(arguments.argument());
}

// Whether there is a run that this one continues; rank 0 looks, and refuses what does not fit.
bool continues(const std::filesystem::path& folder, const Configuration& configuration,
               Communicator& communicator) {
  return asked_of_rank_0(communicator, [&] {
    if (!run_exists(folder)) return false;
    check_run(folder, configuration, schema_of("pretrain"));
    return true;
  });
}

// Rank 0 makes the run folder, or opens it to continue.
void open_on_all_ranks(const std::filesystem::path& folder, const Configuration& configuration,
                       bool anew, StageContext& context) {
  agreed(context.communicator, [&] {
    if (context.communicator.rank() != 0) return;
    const OpenedRun run = open_run(folder, configuration, schema_of("pretrain"), anew);
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

}  // namespace

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
  Source source(configuration, communicator, log, {.like = checkpoint ? &*checkpoint : nullptr});
  agreed(communicator, [&] {
    if (checkpoint) source.require_same_data(*checkpoint);
  });
  const int64_t steps = steps_to_do(options, source.dataset().samples());
  agreed(communicator,
         [&] { check_sizes(options, steps, source.dataset().samples(), communicator.size()); });
  if (checkpoint && checkpoint->info.step >= steps) {
    log.line(folder.string(), " is finished: ", checkpoint->info.step, " steps are done");
    return ExitStatus::finished;
  }

  Compute compute =
      make_compute(options, context, checkpoint ? checkpoint->info.environment.precision : "");
  Model model(configuration, source.views(), *compute.device);
  source.keep_facts(model.store());
  agreed(communicator,
         [&] { check_parts(options, model.objective(), configuration.text("objective.name")); });
  const std::shared_ptr<const Recipe> recipe = model.objective().recipe();
  const std::vector<DrawnViews::View> views = views_on(*compute.device, *recipe, source.views());
  const auto maker = views.empty() ? source.rows(recipe) : source.drawn_rows(recipe);
  Trainer trainer = make_trainer(configuration, compute.dtype, arguments.given("eager"), model,
                                 views, *compute.device, communicator);
  const int64_t rows = std::max<int64_t>(1, options.batch / communicator.size());
  trainer.prepare(empty_fields(maker->outputs(), rows, compute.dtype),
                  std::vector<int64_t>(static_cast<size_t>(communicator.size()), rows));

  LoopPlan plan{.steps = steps,
                .batch = options.batch,
                .parts = options.accumulate,
                .samples = source.dataset().samples(),
                .checkpoint_minutes = options.checkpoint_minutes,
                .checkpoint_steps = options.checkpoint_steps};
  plan.schedule = {.peak = configuration.number("optimizer.lr"),
                   .warmup = static_cast<int64_t>(configuration.number("optimizer.warmup") *
                                                  static_cast<double>(plan.samples) /
                                                  static_cast<double>(plan.batch)),
                   .total = steps};
  MetricsTable metrics_so_far;
  if (checkpoint) {
    load_state(*checkpoint, tensor_targets(model.store()), Match::all, communicator);
    plan.first_step = checkpoint->info.step;
    metrics_so_far = checkpoint->info.metrics;
    agreed(communicator, [&] {
      if (!metrics_so_far.step.empty() && metrics_so_far.step.back() >= plan.first_step)
        bad_input(checkpoint->folder.string(), " holds metrics of a step that is not done: use ",
                  "another checkpoint");
    });
    const std::string differ =
        environment_differences(checkpoint->info.environment, compute.environment);
    if (!differ.empty())
      log.warning("this restart will not be bit for bit what an uninterrupted run gives: ", differ);
  } else if (arguments.given("init-from")) {
    start_from(arguments.value("init-from"), model, context);
  }
  Watch watch(configuration, source, model.objective(), compute, context);
  open_on_all_ranks(folder, configuration, anew, context);
  if (checkpoint) log.line("continuing ", folder.string(), " at step ", plan.first_step);
  if (old && !checkpoint)
    log.line(folder.string(), " has no checkpoint to go on from: it begins at step 0");

  const OrderSpec order = source.order(options.seed);
  const AccessPattern pattern =
      access_pattern(source.dataset(), order, options.batch, communicator.size(), source.buffer());
  for (const std::string& line :
       reading_lines(source.dataset(), order, pattern, communicator.size())) {
    log.line(line);
  }
  Order counting(order);
  const std::unique_ptr<LocalCopies> copies =
      local_copies(configuration, folder, source.dataset(), compute, log);
  LoaderOptions loading = source.loading(communicator, compute.threads);
  loading.copies = copies.get();
  loading.batch = options.batch / options.accumulate;
  loading.end = steps * options.batch;
  loading.seed = options.seed;

  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<CheckpointWriter> writer;
  TrainingLoop::Output output;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    metrics = std::make_unique<Metrics>(folder / "metrics.jsonl", std::move(metrics_so_far));
    output.metrics = metrics.get();
    output.info.seed = static_cast<int64_t>(options.seed);
    output.info.configuration = configuration.resolved();
    output.info.environment = compute.environment;
    output.info.data = {source.identity()};
  });

  const auto counts = [&](int64_t position, int64_t count) {
    return counting.counts(position, count, communicator.size());
  };
  const auto after_step = [&](int64_t steps_done) {
    if (steps_done == plan.first_step + 1 && !compute.engines.empty())
      log.line("train.plans has plans for ",
               plans_taken(compute.engines, compute.device->library_plans()));
    watch.after_step(steps_done);
  };
  const auto require_folder = [&] {
    agreed(communicator, [&] {
      if (communicator.rank() != 0 || run_exists(folder / "config.toml")) return;
      bad_input(folder.string(), " was removed while the run went on, and what is there now is no ",
                "run: put its config.toml back if the checkpoints are wanted, or start again");
    });
  };
  // From a checkpoint, of step 0 for none, at this step.
  const auto train_from = [&](int64_t checkpoint_step, int64_t first_step) {
    agreed(communicator, [&] {
      if (communicator.rank() != 0) return;
      writer = std::make_unique<CheckpointWriter>(
          folder, CheckpointWriter::Keep{.last = options.keep, .best = true}, checkpoint_step);
      output.checkpoints = writer.get();
    });
    plan.first_step = first_step;
    loading.position = first_step * options.batch;
    Loader loader(source.dataset(), std::make_unique<Order>(order), maker, loading);
    TrainingLoop loop(plan, loader, trainer, model.store(), early_stop, communicator, log,
                      compute.dtype);
    try {
      loop.run(counts, output, after_step);
    } catch (const BadLoss&) {
      agreed(communicator, [&] {
        if (writer) writer->wait();
      });
      throw;
    } catch (const AgreedError& error) {
      if (error.status() == ExitStatus::requeue) require_folder();
      throw;
    }
    require_folder();
    for (const std::string& line : accounting_lines(loop.accounting())) log.line(line);
    log.line("finished: ", steps, " steps, ", static_cast<int64_t>(loop.samples_per_second()),
             " samples/s; the run is ", folder.string());
  };
  const auto train = [&] {
    watch.begin(folder, plan.first_step);
    RollBack(folder, configuration.is("train.on_bad_loss", "roll_back"), model.store(), trainer,
             context)
        .run(plan.first_step, train_from);
    return ExitStatus::finished;
  };
  return hold.attempt(
      folder / attempts_name, [&] { return newest_checkpoint_text(folder); }, train);
}

}  // namespace lacuna
