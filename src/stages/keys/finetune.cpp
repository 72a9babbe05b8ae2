#include "stages/keys/finetune.h"

#include <string>

namespace lacuna {
namespace {

std::vector<Key> feature_keys() {
  return {
      key::one_of(
          "task.features", {"encoder", "pixels"}, "encoder",
          "What is classified: representations, or the samples' own values as the baseline."),
      key::one_of("task.weights", {"student", "teacher"}, "student", "Which of the run's weights."),
  };
}

std::vector<Key> linear_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::numbers("task.l2", "[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]",
                              "Weights of the squared norm to choose from on held-out labels.")
                     .min(0));
  return keys;
}

std::vector<Key> knn_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::integers("task.k", "[1, 3, 5, 10, 20, 50, 100, 200]",
                               "Numbers of neighbours to choose from on held-out labels.")
                     .min(1));
  return keys;
}

std::vector<Key> classify_keys() {
  return {
      key::one_of(
          "task.start", {"run", "scratch"}, "run",
          "Where the encoder starts: at the run's weights, or at random ones, the baseline."),
      key::integer("task.steps", "200", "Length of the training.").unit("steps").min(1),
      key::numbers("task.rates", "[3e-4, 1e-3, 3e-3]",
                   "Peak learning rates to choose from on a held-out fifth of the labels.")
          .above(0),
  };
}

struct TaskKeys {
  const char* name;
  std::vector<Key> (*keys)();
};

std::vector<TaskKeys> keys_of_tasks() {
  return {{"linear", linear_keys}, {"knn", knn_keys}, {"classify", classify_keys}};
}

}  // namespace

std::vector<Key> finetune_keys() {
  std::vector<std::string> names;
  for (const TaskKeys& entry : keys_of_tasks()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("task.name", names, required, "What is learned from the labels."),
      key::number("task.labels", "1.0",
                  "Fraction of the training labels that is used, of each class.")
          .above(0)
          .max(1),
      key::integer("task.draws", "1",
                   "How often the labels are drawn anew; the mean accuracy counts.")
          .between(1, 1000),
      key::text("task.checkpoint", "last", "Which checkpoint of the run: last, best, or a step."),
      key::text("test.dataset", required, "Path of the test samples in the files."),
      key::text("test.label", required, "Path of the test labels in the files."),
      key::paths("test.files", "[]", "HDF5 files of the test data; empty: those of data.files."),
  };
  for (const TaskKeys& entry : keys_of_tasks()) {
    for (Key own : entry.keys()) {
      all.push_back(std::move(own).only_if("task.name", {entry.name}));
    }
  }
  return all;
}

}  // namespace lacuna
