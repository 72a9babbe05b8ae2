// finetune: trains a head, or the whole encoder, with labels and scores it on test data.
#include "stages/finetune/finetune.h"
#include "stages/finetune/results.h"
#include "stages/finetune/stage.h"
#include "stages/setup/common_options.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/log.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "run/run.h"
#include "stages/keys/schema.h"
#include "stages/setup/hold.h"
#include "stages/setup/load_configuration.h"
#include "stages/setup/stopping.h"
#include "stages/setup/without_effect.h"

namespace lacuna {

namespace {

std::string environment_text(const Environment& e) {
  return concat(counted(e.ranks, "rank"), " of ", counted(e.threads, "thread"), ", ", e.device,
                ", ", e.instruction_set, ", ", e.precision, ", Lacuna ", e.code_version,
                ", oneDNN ", e.onednn);
}

// Whether the run is finished, which rank 0 then says; refuses a folder that the run does not fit.
bool is_finished(const std::filesystem::path& folder, const Configuration& configuration,
                 StageContext& context) {
  return asked_of_rank_0(context.communicator, [&] {
    if (!run_exists(folder)) return false;
    check_run(folder, configuration, schema_of("finetune"));
    if (!std::filesystem::exists(folder / "result.json")) return false;
    remove_features(folder);  // of a process that was killed there
    const std::string result = read_text(folder / "result.json");
    context.log.line(folder.string(), " is finished: ", result.substr(0, result.find('\n')));
    return true;
  });
}

}  // namespace

std::string draw_name(int64_t draw) { return concat("draw ", draw + 1); }

void tell_of_draw(Log& log, int64_t draw, size_t labels, const TrialResult& result) {
  const auto main_score = [](const std::vector<Score>& scores) {
    return scores.empty() ? "nothing to score" : concat(scores[0].name, " ", scores[0].value);
  };
  log.line(draw_name(draw), ": ", labels, " labels, ", main_score(result.test), "; held-out ",
           main_score(result.held_out), " with ", result.chosen);
}

void tell_that_none_is_held_out(Log& log, int64_t draw, double chosen) {
  log.warning(draw_name(draw),
              " has one label of each class, so that none is held out to choose by: ", chosen,
              ", the first value, is taken; raise task.labels, or give that one value");
}

void tell_of_ties(Log& log, int64_t draw, const std::vector<std::vector<Score>>& held_out,
                  double chosen) {
  const auto equals_first = [&](const std::vector<Score>& scores) {
    const double value = scores[0].value, first = held_out[0][0].value;
    return value == first || (std::isnan(value) && std::isnan(first));
  };
  if (held_out.size() < 2 || !std::all_of(held_out.begin(), held_out.end(), equals_first)) return;
  log.line("the held-out labels of ", draw_name(draw),
           " cannot tell the values to choose from apart, which all have the ", held_out[0][0].name,
           " ", held_out[0][0].value, ": ", chosen, ", the first, is taken");
}

TaskParts parts_of(const FinetuneJob& job, const std::vector<int64_t>* labelled) {
  return {.configuration = job.configuration,
          .targets = &job.data.targets.train,
          .labelled = labelled,
          .outputs = job.data.targets.train.width};
}

namespace {

Syntax finetune_syntax() {
  return {.stage = "finetune",
          .argument = "CONFIG.toml",
          .argument_doc = "The task; its keys are in docs/configuration.md.",
          .summary = "Trains a head, or the whole encoder, with labels and scores it.",
          .options = {{.name = "from",
                       .argument = "RUN",
                       .doc = "Folder of the run that pretrain made.",
                       .required = true},
                      settings_option(),
                      run_folder_option(),
                      max_hours_option(),
                      force_option("a run")}};
}

ExitStatus finetune(const Arguments& arguments, StageContext& context) {
  Communicator& communicator = context.communicator;
  Log& log = context.log;
  const Configuration configuration = load_configuration(
      arguments.argument(), schema_of("finetune"), arguments.values("set"), communicator);
  const TrainOptions options = train_options(configuration);
  log.set_interval(options.log_interval);
  const EarlyStop early_stop = early_stop_of(arguments, options, context);

  const std::filesystem::path from = arguments.value("from");
  const Configuration pretraining = pretraining_configuration(from, {}, communicator);
  agreed(communicator, [&] {
    const std::string &kind = configuration.text("data.kind"),
                      &of_run = pretraining.text("data.kind");
    if (kind != of_run)
      bad_input("data.kind is \"", kind, "\", and ", from.string(), " was trained on \"", of_run,
                "\": set data.kind to that");
  });
  const Checkpoint checkpoint =
      checkpoint_on_all_ranks(from, configuration.text("task.checkpoint"), context);
  if (configuration.text("data.label").empty()) {
    const Error error(ExitStatus::bad_input,
                      "finetune needs labels: set data.label to the path of the training labels");
    agree(communicator, &error);
  }
  Compute compute = make_compute(options, context, checkpoint.info.environment.precision);
  const TaskEntry& entry = task_of(configuration);
  const TaskData data(configuration, entry, checkpoint, compute.threads, context);

  const std::filesystem::path folder = arguments.given("run")
                                           ? std::filesystem::path(arguments.value("run"))
                                           : default_run_folder(arguments.argument());
  const TrialsOrigin origin{.run = from.string(),
                            .step = checkpoint.info.step,
                            .checkpoint = checkpoint.checksums(),
                            .train_data = data.train_hash(),
                            .test_data = data.test_hash(),
                            .environment = environment_text(compute.environment)};
  Hold hold(folder, Hold::Kind::run, context);
  const bool anew = begins_anew(folder, arguments, context);
  if (!anew) Trials::check(folder, origin, context);
  if (!anew && is_finished(folder, configuration, context)) return ExitStatus::finished;

  for (const std::string& sentence : without_effect(configuration)) log.warning(sentence);
  // The run's folder is made only once everything has been found good.
  const FinetuneJob job{configuration, pretraining, checkpoint, data,
                        folder,        compute,     early_stop, context};
  const ReadyTask task =
      entry.trains_network() ? ready_network(job, entry) : ready_probe(job, entry);
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    const OpenedRun run = open_run(folder, configuration, schema_of("finetune"), anew);
    for (const std::string& note : run.notes) log.line(note);
  });
  Trials trials(folder, origin, early_stop, context);
  const auto work = [&] {
    const std::vector<TrialResult> draws = task(trials);
    const std::string result = result_text(configuration, entry, data.targets.class_names, draws,
                                           from, checkpoint.info.step);
    agreed(communicator, [&] {
      if (communicator.rank() != 0) return;
      write_durably(folder / "result.json", result + "\n");
      remove_features(folder);
    });
    log.line("RESULT ", result);
    return ExitStatus::finished;
  };
  return hold.attempt(
      folder / attempts_name, [&] { return trials.how_far() + features_text(folder); }, work);
}

}  // namespace

Stage finetune_stage() { return {finetune_syntax(), true, finetune}; }

}  // namespace lacuna
