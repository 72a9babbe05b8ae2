#include "stages/finetune/task_targets.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "comm/agree.h"
#include "data/columns.h"
#include "tasks/label_targets.h"

namespace lacuna {

namespace {

// Finite numbers [N, width] on rank 0, in data-set order.
std::vector<double> read_numbers(const Dataset& dataset, const std::string& path) {
  std::vector<double> values;
  int64_t width = -1;
  for_each_column(dataset, path, [&](const Column& column) {
    const int64_t of_row = column.row().count();
    if (column.row().rank() > 1 || of_row < 1 || (width >= 0 && of_row != width))
      bad_input(column.file().path, ": ", path, " has the shape ", column.stored().shape(),
                ", and numbers of samples have the shape [samples] or [samples, numbers], alike in "
                "all files: name such a column");
    width = of_row;
    for (const double value : column.numbers<double>()) values.push_back(value);
  });
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      bad_input(path, " of sample ", static_cast<int64_t>(i) / width, " is ", values[i],
                ": give every sample a number, or leave such samples out of the files");
  }
  return values;
}

// On rank 0 the group of each sample: the place of its text or number among all, in order.
std::vector<int64_t> read_groups(const Dataset& dataset, const std::string& path) {
  std::vector<std::string> names;
  for_each_column(dataset, path, [&](const Column& column) {
    const hdf5::Dataset& stored = column.stored();
    if (column.row().rank() != 0 || (!stored.is_text() && is_float(stored.dtype())))
      bad_input(column.file().path, ": ", path, " is ", stored.type_text(), " of the shape ",
                stored.shape(),
                ", and groups are texts or whole numbers [samples]: name such a column in "
                "task.group");
    if (stored.is_text()) {
      for (std::string& name : column.texts()) names.push_back(std::move(name));
      return;
    }
    for (const int64_t number : column.numbers<int64_t>()) names.push_back(std::to_string(number));
  });
  std::map<std::string, int64_t> place;
  for (const std::string& name : names) place[name] = 0;
  int64_t next = 0;
  for (auto& [name, number] : place) number = next++;
  std::vector<int64_t> groups;
  for (const std::string& name : names) groups.push_back(place[name]);
  return groups;
}

HoldOut hold_out_of(const Configuration& configuration, const Dataset& train,
                    Communicator& communicator) {
  HoldOut how;
  if (configuration.is("task.held_out", "group")) {
    how.by = HoldOut::By::group;
    how.group = read_on_rank_0<int64_t>(
        communicator, [&] { return read_groups(train, configuration.text("task.group")); });
  } else if (configuration.is("task.held_out", "time")) {
    how.by = HoldOut::By::time;
    const std::string& path = configuration.text("task.time");
    if (path.empty()) return how;
    how.time = read_on_rank_0<double>(communicator, [&] {
      std::vector<double> time = read_numbers(train, path);
      if (static_cast<int64_t>(time.size()) != train.samples())
        bad_input(path,
                  " has several numbers for a sample, and a time is one: name another column "
                  "in task.time");
      return time;
    });
  }
  return how;
}

LabelTargets read_targets(const Configuration& configuration, const TaskEntry& task,
                          const Dataset& train, const Dataset& test) {
  const std::vector<std::string> files = configuration.paths("data.label_files");
  std::vector<std::string> test_files = configuration.paths("test.label_files");
  const bool of_same_files = configuration.paths("test.files").empty();
  const bool inherited = test_files.empty() && of_same_files;
  if (inherited) test_files = files;
  const LabelColumn of_train = read_labels(train, {configuration.text("data.label"), files});
  const LabelColumn of_test =
      read_labels(test, {configuration.text("test.label"), test_files,
                         inherited ? "data.label_files" : "test.label_files"});
  return label_targets(task.targets, of_train, of_test, configuration.texts("data.unlabelled"));
}

// Of rank 0, on every rank.
void share(LabelTargets& targets, TargetType type, Communicator& communicator) {
  const auto shared = [&]<typename T>(const std::vector<T>& mine) {
    return read_on_rank_0<T>(communicator, [&] { return mine; });
  };
  for (Targets* each : {&targets.train, &targets.test}) {
    each->type = type;
    each->width = shared(std::vector<int64_t>{each->width})[0];
    each->classes = shared(each->classes);
    each->values = shared(each->values);
  }
  std::vector<char> names;  // a name cannot hold what ends it
  for (const std::string& name : targets.class_names)
    names.insert(names.end(), name.c_str(), name.c_str() + name.size() + 1);
  names = shared(names);
  targets.class_names.clear();
  for (auto at = names.begin(); at != names.end(); at = std::find(at, names.end(), '\0') + 1)
    targets.class_names.emplace_back(at, std::find(at, names.end(), '\0'));
}

// Windows that share positions are no independent samples.
void warn_of_windows(const HoldOut& how, const Dataset& train, std::vector<std::string>& warnings) {
  const SampleLayout& layout = train.layout();
  if (!layout.has_windows() || layout.hop >= layout.length || how.by != HoldOut::By::strata) return;
  warnings.push_back(
      concat("windows of data.length = ", layout.length, " every data.hop = ", layout.hop,
             " overlap, so that windows of one series are both learned from and held out: set "
             "task.held_out = \"group\", with a column of the series, or \"time\""));
}

// The first draws, as many as can be looked at in a moment.
void check_draws(const Configuration& configuration, const TaskTargets& targets) {
  if (targets.hold_out.by == HoldOut::By::strata) return;
  constexpr int64_t most_samples = 10'000'000;  // in all
  const int64_t draws =
      std::min(configuration.number("task.labels") < 1 ? configuration.integer("task.draws") : 1,
               1 + most_samples / std::max<int64_t>(1, targets.train.count()));
  for (int64_t draw = 0; draw < draws; ++draw)
    hold_out_fifth(labelled_samples(configuration, targets.train, draw), strata(targets.train),
                   targets.hold_out, 0);
}

}  // namespace

std::vector<int64_t> labelled_samples(const Configuration& configuration, const Targets& targets,
                                      int64_t draw) {
  return label_subset(strata(targets), configuration.number("task.labels"),
                      static_cast<uint64_t>(configuration.integer("seed")),
                      static_cast<uint64_t>(draw));
}

TaskTargets task_targets(const Configuration& configuration, const TaskEntry& task,
                         const Dataset& train, const Dataset& test, Communicator& communicator) {
  LabelTargets read = agreed(communicator, [&] {
    return communicator.rank() == 0 ? read_targets(configuration, task, train, test)
                                    : LabelTargets();
  });
  share(read, task.targets, communicator);
  TaskTargets targets{.train = std::move(read.train),
                      .test = std::move(read.test),
                      .hold_out = hold_out_of(configuration, train, communicator),
                      .class_names = std::move(read.class_names),
                      .lines = std::move(read.lines),
                      .warnings = std::move(read.warnings)};
  warn_of_windows(targets.hold_out, train, targets.warnings);
  agreed(communicator, [&] { check_draws(configuration, targets); });
  return targets;
}

}  // namespace lacuna
