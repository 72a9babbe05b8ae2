#include "stages/finetune/task_data.h"

#include "base/text.h"
#include "comm/agree.h"
#include "io/durable_file.h"

namespace lacuna {

namespace {

// Labels are read by task_targets(), whatever they are.
Configuration without_labels(const Configuration& configuration) {
  return configuration.with({"data.label=\"\""});
}

// Of a source and its targets.
std::string hash_of(const Source& source, const Targets& targets,
                    const std::vector<std::string>& class_names) {
  const bool values = targets.type == TargetType::values;
  const std::string names = join(class_names, "\n");
  const uint32_t crc =
      values ? crc32_of(targets.values.data(), targets.values.size() * sizeof(double))
             : crc32_of(targets.classes.data(), targets.classes.size() * sizeof(int64_t)) ^
                   crc32_of(names.data(), names.size());
  return concat(source.identity().hash, "-", std::hex, crc);
}

SourceOptions test_options(const Configuration& configuration, const Checkpoint& checkpoint,
                           int threads) {
  return {.files = configuration.paths("test.files"),
          .dataset = configuration.text("test.dataset"),
          .like = &checkpoint,
          .threads = threads};
}

}  // namespace

TaskData::TaskData(const Configuration& configuration, const TaskEntry& task,
                   const Checkpoint& checkpoint, int threads, StageContext& context)
    : train(without_labels(configuration), context.communicator, context.log,
            {.like = &checkpoint, .threads = threads}),
      test(without_labels(configuration), context.communicator, context.log,
           test_options(configuration, checkpoint, threads)),
      targets(task_targets(configuration, task, train.dataset(), test.dataset(),
                           context.communicator)) {
  agreed(context.communicator, [&] {
    if (test.modality().view() != train.modality().view())
      bad_input("test samples are read as ", test.modality().view(), " and training samples as ",
                train.modality().view(), ": name samples of the same shape in test.dataset");
  });
  for (const std::string& line : targets.lines) context.log.line(line);
  for (const std::string& warning : targets.warnings) context.log.warning(warning);
}

std::string TaskData::train_hash() const {
  return hash_of(train, targets.train, targets.class_names);
}
std::string TaskData::test_hash() const { return hash_of(test, targets.test, targets.class_names); }

}  // namespace lacuna
