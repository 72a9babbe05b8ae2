#include "stages/check/check_task.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/threads.h"
#include "stages/check/data_report.h"
#include "stages/finetune/task_targets.h"
#include "stages/setup/source.h"
#include "train/options.h"

namespace lacuna {

namespace {

// "5 classes of 12 to 40 samples", "3 values of each sample".
std::string targets_text(const Targets& targets) {
  int64_t known = 0;
  std::map<int64_t, int64_t> count;
  for (int64_t sample = 0; sample < targets.count(); ++sample) {
    if (!targets.known(sample)) continue;
    ++known;
    if (targets.type == TargetType::classes) ++count[targets.classes[static_cast<size_t>(sample)]];
  }
  const std::string labelled = concat(known, " of ", counted(targets.count(), "sample"), ": ");
  if (targets.type == TargetType::values)
    return labelled + counted(targets.width, "value") + " of each";
  if (targets.type == TargetType::marks)
    return concat(labelled, "marks of ", targets.width, targets.width == 1 ? " class" : " classes");
  int64_t fewest = known, most = 0;
  for (const auto& [label, samples] : count) {
    fewest = std::min(fewest, samples);
    most = std::max(most, samples);
  }
  return concat(labelled, count.size(), count.size() == 1 ? " class of " : " classes of ", fewest,
                " to ", most);
}

}  // namespace

Survey check_task(const Configuration& configuration, StageContext& context, Log& log,
                  Report& report) {
  if (configuration.text("data.label").empty())
    bad_input("finetune needs labels: set data.label to the path of the training labels");
  const Configuration samples = configuration.with({"data.label=\"\""});
  const Source train(samples, context.communicator, log, {.index_only = true});
  const Source test(samples, context.communicator, log,
                    {.files = configuration.paths("test.files"),
                     .dataset = configuration.text("test.dataset"),
                     .index_only = true});
  const TaskTargets targets = task_targets(configuration, task_of(configuration), train.dataset(),
                                           test.dataset(), context.communicator);
  const TrainOptions options = train_options(configuration);
  const Survey survey =
      train.modality().survey({.seed = options.seed, .threads = threads_available()});
  report_survey(train.dataset(), survey, report);
  report.line("the labels");
  report.row("of training samples", targets_text(targets.train));
  report.row("of test samples", targets_text(targets.test));
  for (const std::string& line : targets.lines) report.line("  ", line);
  for (const std::string& warning : targets.warnings) report.warning(warning);
  report.line(
      "what finetune takes from a run (its checkpoint, range and statistics) is not looked "
      "at here");
  return survey;
}

}  // namespace lacuna
