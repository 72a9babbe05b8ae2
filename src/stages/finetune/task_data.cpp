#include "stages/finetune/task_data.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "io/hdf5.h"

namespace lacuna {

namespace {

// The column in one of the source's files.
hdf5::Dataset column_in(const hdf5::File& file, const std::string& path, const DataFile& of) {
  hdf5::Dataset column = file.dataset(path);
  if (column.shape().rank() == 0 || column.rows() != of.samples())
    bad_input(of.path, ": ", path, " has the shape ", column.shape(), ", but there are ",
              of.samples(), " samples: name a column with one row for each sample");
  return column;
}

template <typename T>
void broadcast(std::vector<T>& values, Communicator& communicator) {
  auto count = static_cast<int64_t>(values.size());
  communicator.broadcast(&count, sizeof count, 0).wait();
  values.resize(static_cast<size_t>(count));
  if (count > 0) communicator.broadcast(values.data(), values.size() * sizeof(T), 0).wait();
}

// Numbers [N, width] on rank 0, in data-set order; returns the width.
int64_t read_numbers(const Source& source, const std::string& path, std::vector<double>& values) {
  int64_t width = -1;
  for (const DataFile& file : source.dataset().files()) {
    const hdf5::File opened = hdf5::File::open(file.path);
    const hdf5::Dataset column = column_in(opened, path, file);
    const int64_t of_row = column.shape().count() / std::max<int64_t>(1, column.rows());
    if (column.shape().rank() > 2 || of_row < 1 || (width >= 0 && of_row != width))
      bad_input(file.path, ": ", path, " has the shape ", column.shape(),
                ", and numbers of samples have the shape [samples] or [samples, numbers], alike in "
                "all files: name such a column");
    width = of_row;
    const size_t before = values.size();
    values.resize(before + static_cast<size_t>(file.samples() * width));
    column.read_rows(0, file.samples(), values.data() + before, DType::f64);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      bad_input(path, " of sample ", static_cast<int64_t>(i) / width, " is ", values[i],
                ": give every sample a number, or leave such samples out of the files");
  }
  return width;
}

// Numbers of the groups on rank 0, each the place of its text or number among all, in order.
std::vector<int64_t> read_groups(const Source& source, const std::string& path) {
  std::vector<std::string> names;
  for (const DataFile& file : source.dataset().files()) {
    const hdf5::File opened = hdf5::File::open(file.path);
    const hdf5::Dataset column = column_in(opened, path, file);
    if (column.shape().rank() != 1 || (!column.is_text() && is_float(column.dtype())))
      bad_input(file.path, ": ", path, " is ", column.type_text(), " of the shape ", column.shape(),
                ", and groups are texts or whole numbers [samples]: name such a column in "
                "task.group");
    if (column.is_text()) {
      for (std::string& name : column.texts()) names.push_back(std::move(name));
      continue;
    }
    std::vector<int64_t> numbers(static_cast<size_t>(file.samples()));
    column.read_rows(0, file.samples(), numbers.data(), DType::i64);
    for (const int64_t number : numbers) names.push_back(std::to_string(number));
  }
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
  agreed(communicator, [&] {
    if (communicator.rank() == 0) targets.width = read_numbers(source, path, targets.values);
  });
  communicator.broadcast(&targets.width, sizeof targets.width, 0).wait();
  broadcast(targets.values, communicator);
  return targets;
}

HoldOut hold_out_of(const Configuration& configuration, const Source& train,
                    Communicator& communicator) {
  HoldOut how;
  const bool leads = communicator.rank() == 0;
  if (configuration.is("task.held_out", "group")) {
    how.by = HoldOut::By::group;
    agreed(communicator, [&] {
      if (leads) how.group = read_groups(train, configuration.text("task.group"));
    });
    broadcast(how.group, communicator);
  } else if (configuration.is("task.held_out", "time")) {
    how.by = HoldOut::By::time;
    const std::string& path = configuration.text("task.time");
    if (path.empty()) return how;
    agreed(communicator, [&] {
      if (leads && read_numbers(train, path, how.time) != 1)
        bad_input(path,
                  " has several numbers for a sample, and a time is one: name another column "
                  "in task.time");
    });
    broadcast(how.time, communicator);
  }
  return how;
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
    if (task.targets == TargetType::values && test_targets.width != train_targets.width)
      bad_input("a training sample has ", counted(train_targets.width, "value"), " in ",
                configuration.text("data.label"), ", and a test sample ", test_targets.width,
                " in ", configuration.text("test.label"), ": name columns of the same values");
  });
}

std::string TaskData::train_hash() const { return hash_of(train, train_targets); }
std::string TaskData::test_hash() const { return hash_of(test, test_targets); }

}  // namespace lacuna
