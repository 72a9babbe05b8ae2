#include "tasks/list.h"

#include <algorithm>
#include <array>

#include "tasks/classify.h"
#include "tasks/knn.h"
#include "tasks/linear.h"
#include "tasks/regress.h"
#include "tasks/ridge.h"
#include "tasks/tag.h"

namespace lacuna {

std::span<const TaskEntry> tasks() {
  static const std::array entries = {
      TaskEntry{"linear", TargetType::classes, linear_keys, make_linear, nullptr},
      TaskEntry{"knn", TargetType::classes, knn_keys, make_knn, nullptr},
      TaskEntry{"ridge", TargetType::values, ridge_keys, make_ridge, nullptr},
      TaskEntry{"classify", TargetType::classes, classify_keys, nullptr, make_classify},
      TaskEntry{"tag", TargetType::marks, tag_keys, nullptr, make_tag},
      TaskEntry{"regress", TargetType::values, regress_keys, nullptr, make_regress},
  };
  return entries;
}

std::vector<Key> task_keys() {
  std::vector<std::string> names;
  for (const TaskEntry& entry : tasks()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("task.name", names, required, "What is learned from the labels.")};
  for (const TaskEntry& entry : tasks()) {
    for (Key& own : entry.keys()) {
      const std::string name(entry.name);
      // What several tasks have alike is listed once.
      const auto same = std::find_if(all.begin(), all.end(), [&](const Key& other) {
        return other.name == own.name && other.doc == own.doc &&
               other.default_text == own.default_text;
      });
      if (same == all.end())
        all.push_back(std::move(own).only_if("task.name", {name}));
      else
        same->selector_values.push_back(name);
    }
  }
  return all;
}

const TaskEntry& task_of(const Configuration& configuration) {
  for (const TaskEntry& entry : tasks()) {
    if (configuration.is("task.name", entry.name)) return entry;
  }
  LACUNA_CHECK(false, "task.name");
  return tasks().front();
}

}  // namespace lacuna
