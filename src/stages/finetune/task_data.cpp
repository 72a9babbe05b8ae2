#include "stages/finetune/task_data.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "comm/agree.h"
#include "data/columns.h"
#include "io/durable_file.h"

namespace lacuna {

namespace {

// Finite numbers [N, width] on rank 0, in data-set order.
std::vector<double> read_numbers(const Source& source, const std::string& path) {
  std::vector<double> values;
  int64_t width = -1;
  for_each_column(source.dataset(), path, [&](const Column& column) {
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
std::vector<int64_t> read_groups(const Source& source, const std::string& path) {
  std::vector<std::string> names;
  for_each_column(source.dataset(), path, [&](const Column& column) {
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

// Labels are read with the samples where they are classes, values by targets_of() alone.
Configuration with_targets(const Configuration& configuration, TargetType type) {
  return type == TargetType::classes ? configuration : configuration.with({"data.label=\"\""});
}

Targets targets_of(const Source& source, TargetType type, const std::string& path,
                   Communicator& communicator) {
  Targets targets{.type = type, .classes = {}, .values = {}, .width = 0};
  if (type == TargetType::classes) {
    targets.classes = source.labels(communicator);
    targets.width = class_count(targets.classes);
    constexpr int64_t always = 1000;  // classes; beyond them some must have samples
    if (targets.width > std::max(always, source.dataset().samples()))
      bad_input("the labels in ", path, " go up to ", targets.width - 1, ", of ",
                source.dataset().samples(), " samples: number the classes from 0 on");
    return targets;
  }
  targets.values = read_on_rank_0<double>(communicator, [&] { return read_numbers(source, path); });
  targets.width = static_cast<int64_t>(targets.values.size()) / source.dataset().samples();
  return targets;
}

HoldOut hold_out_of(const Configuration& configuration, const Source& train,
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
      if (static_cast<int64_t>(time.size()) != train.dataset().samples())
        bad_input(path,
                  " has several numbers for a sample, and a time is one: name another column "
                  "in task.time");
      return time;
    });
  }
  return how;
}

// How many samples have no label, where some have none.
void tell_of_unlabelled(const char* samples, const Targets& targets, const std::string& path,
                        const char* consequence, Log& log) {
  const auto without = std::count_if(targets.classes.begin(), targets.classes.end(),
                                     [](int64_t label) { return label < 0; });
  if (without > 0)
    log.line(without, " of ", targets.count(), " ", samples, " have no label (", path,
             " is negative there): ", consequence);
}

// Of a source and, where they are not of its samples' fields, its targets.
std::string hash_of(const Source& source, const Targets& targets) {
  const std::string samples = source.identity().hash;
  if (targets.type == TargetType::classes) return samples;
  const size_t bytes = targets.values.size() * sizeof(double);
  return concat(samples, "-", std::hex, crc32_of(targets.values.data(), bytes));
}

SourceOptions test_options(const Configuration& configuration, const TaskEntry& task,
                           const Checkpoint& checkpoint, int threads) {
  const bool classes = task.targets == TargetType::classes;
  return {.files = configuration.paths("test.files"),
          .dataset = configuration.text("test.dataset"),
          .label = classes ? configuration.text("test.label") : "",
          .like = &checkpoint,
          .threads = threads};
}

}  // namespace

TaskData::TaskData(const Configuration& configuration, const TaskEntry& task,
                   const Checkpoint& checkpoint, int threads, StageContext& context)
    : train(with_targets(configuration, task.targets), context.communicator, context.log,
            {.like = &checkpoint, .threads = threads}),
      test(with_targets(configuration, task.targets), context.communicator, context.log,
           test_options(configuration, task, checkpoint, threads)),
      train_targets(
          targets_of(train, task.targets, configuration.text("data.label"), context.communicator)),
      test_targets(
          targets_of(test, task.targets, configuration.text("test.label"), context.communicator)),
      hold_out(hold_out_of(configuration, train, context.communicator)) {
  agreed(context.communicator, [&] {
    if (test.modality().view() != train.modality().view())
      bad_input("test samples are read as ", test.modality().view(), " and training samples as ",
                train.modality().view(), ": name samples of the same shape in test.dataset");
    if (train_targets.width < 1)
      bad_input("no training sample has a class in ", configuration.text("data.label"),
                ": name the path of the training labels in data.label");
    if (test_targets.width < 1)
      bad_input("no test sample has a class in ", configuration.text("test.label"),
                ": name the path of the test labels in test.label");
    if (task.targets == TargetType::values && test_targets.width != train_targets.width)
      bad_input("a training sample has ", counted(train_targets.width, "value"), " in ",
                configuration.text("data.label"), ", and a test sample ", test_targets.width,
                " in ", configuration.text("test.label"), ": name columns of the same values");
  });
  tell_of_unlabelled("training samples", train_targets, configuration.text("data.label"),
                     "they are not learned from", context.log);
  tell_of_unlabelled("test samples", test_targets, configuration.text("test.label"),
                     "they do not count in the scores", context.log);
}

std::string TaskData::train_hash() const { return hash_of(train, train_targets); }
std::string TaskData::test_hash() const { return hash_of(test, test_targets); }

}  // namespace lacuna
