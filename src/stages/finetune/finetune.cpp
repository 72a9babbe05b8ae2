// finetune: trains a head, or the whole encoder, with labels and tells its accuracy on test data.
#include "stages/finetune/finetune.h"
#include "stages/finetune/stage.h"
#include "stages/setup/common_options.h"

#include <algorithm>
#include <filesystem>

#include "base/json.h"
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

struct TaskEntry {
  const char* name;
  Task run;
};

std::vector<TaskEntry> tasks() {
  return {
      {"linear", linear_task},
      {"knn", knn_task},
      {"classify", classify_task},
  };
}

Task task_of(const Configuration& configuration) {
  for (const TaskEntry& entry : tasks()) {
    if (configuration.is("task.name", entry.name)) return entry.run;
  }
  LACUNA_CHECK(false, "task.name");
  return nullptr;
}

std::string result_text(const Configuration& configuration, const std::vector<TrialResult>& draws,
                        const std::filesystem::path& from, int64_t step) {
  std::vector<double> accuracies;
  std::vector<double> chosen;
  double mean = 0;
  for (const TrialResult& draw : draws) {
    accuracies.push_back(draw.test_accuracy);
    chosen.push_back(draw.chosen);
    mean += draw.test_accuracy / static_cast<double>(draws.size());
  }
  return JsonObject()
      .add("task", configuration.text("task.name"))
      .add("accuracy", mean)
      .add("draws", accuracies)
      .add("chosen", chosen)
      .add("labels", configuration.number("task.labels"))
      .add("from", from.string())
      .add("step", step)
      .text();
}

std::string environment_text(const Environment& e) {
  return concat(e.ranks, " ranks of ", e.threads, " threads, ", e.device, ", ", e.instruction_set,
                ", ", e.precision, ", Lacuna ", e.code_version, ", oneDNN ", e.onednn);
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

namespace {

Syntax finetune_syntax() {
  return {.stage = "finetune",
          .argument = "CONFIG.toml",
          .argument_doc = "The task; its keys are in docs/configuration.md.",
          .summary = "Trains a head, or the whole encoder, with labels and tells its accuracy.",
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
  const Source train(configuration, communicator, log,
                     {.like = &checkpoint, .threads = compute.threads});
  const Source test(configuration, communicator, log,
                    {.files = configuration.paths("test.files"),
                     .dataset = configuration.text("test.dataset"),
                     .label = configuration.text("test.label"),
                     .like = &checkpoint,
                     .threads = compute.threads});

  const std::filesystem::path folder = arguments.given("run")
                                           ? std::filesystem::path(arguments.value("run"))
                                           : default_run_folder(arguments.argument());
  const TrialsOrigin origin{.run = from.string(),
                            .step = checkpoint.info.step,
                            .checkpoint = checkpoint.checksums(),
                            .train_data = train.identity().hash,
                            .test_data = test.identity().hash,
                            .environment = environment_text(compute.environment)};
  Hold hold(folder, Hold::Kind::run, context);
  const bool anew = begins_anew(folder, arguments, context);
  if (!anew) Trials::check(folder, origin, context);
  if (!anew && is_finished(folder, configuration, context)) return ExitStatus::finished;

  for (const std::string& sentence : without_effect(configuration)) log.warning(sentence);
  train.check_labels(communicator);
  test.check_labels(communicator);

  // The run's folder is made only once everything has been found good.
  const FinetuneJob job{configuration, pretraining, checkpoint, train,
                        test,          compute,     early_stop, context};
  const ReadyTask task = task_of(configuration)(job);
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    const OpenedRun run = open_run(folder, configuration, schema_of("finetune"), anew);
    for (const std::string& note : run.notes) log.line(note);
  });
  Trials trials(folder, origin, early_stop, context);
  const auto work = [&] {
    const std::vector<TrialResult> draws = task(trials);
    const std::string result = result_text(configuration, draws, from, checkpoint.info.step);
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
