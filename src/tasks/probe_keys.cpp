#include "tasks/probe_keys.h"

namespace lacuna {

std::vector<Key> probe_keys(std::vector<Key> own) {
  std::vector<Key> keys = {
      key::one_of(
          "task.features", {"encoder", "pixels"}, "encoder",
          "What the task is done on: representations, or the samples' own values as the baseline."),
      key::one_of("task.weights", {"student", "teacher"}, "student", "Which of the run's weights."),
  };
  for (Key& each : own) keys.push_back(std::move(each));
  return keys;
}

}  // namespace lacuna
