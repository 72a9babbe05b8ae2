#include "stages/keys/finetune.h"

#include "tasks/list.h"

namespace lacuna {
std::vector<Key> finetune_keys() {
  std::vector<Key> all = {
      key::number("task.labels", "1.0",
                  "Fraction of the training labels that is used, of each class alike.")
          .above(0)
          .max(1),
      key::integer("task.draws", "1",
                   "How often the labels are drawn anew; the mean of the scores counts.")
          .between(1, 1000),
      key::one_of(
          "task.held_out", {"class", "group", "time"}, "class",
          "Which fifth of the labels is held out to choose by: of each class alike (of all "
          "samples, where targets are values); whole groups, so that none is on both sides; "
          "or the last."),
      key::text("task.group", required,
                "Path of the samples' groups (patients, flights) in the files, texts or integers.")
          .only_if("task.held_out", {"group"}),
      key::text("task.time", "",
                "Path of the samples' times in the files, by which they are sorted; empty: their "
                "order.")
          .only_if("task.held_out", {"time"}),
      key::text("task.checkpoint", "last", "Which checkpoint of the run: last, best, or a step."),
      key::text("test.dataset", required, "Path of the test samples in the files."),
      key::text("test.label", required,
                "Path of the test labels in the files, or of the values that the task predicts."),
      key::paths("test.files", "[]", "HDF5 files of the test data; empty: those of data.files."),
      key::paths("data.label_files", "[]",
                 "HDF5 files that hold data.label where the samples' own do not: one for each of "
                 "these, in the order of their paths, or one for all. Empty: the samples' own."),
      key::paths("test.label_files", "[]",
                 "The same of test.label; empty: data.label_files where test.files is empty too, "
                 "otherwise the test samples' own."),
      key::texts("data.unlabelled", "[]",
                 "Labels that mean that a sample has none, such as [\"255\", \"unknown\"], beside "
                 "negative numbers of classes, NaN, empty texts and the column's _FillValue."),
  };
  for (const Key& each : task_keys()) all.push_back(each);
  return all;
}

}  // namespace lacuna
