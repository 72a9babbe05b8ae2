// The list of tasks: a task is a file and a line in list.cpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tasks/task.h"

namespace lacuna {

struct TaskEntry {
  std::string_view name;  // of task.name
  TargetType targets;
  std::vector<Key> (*keys)();
  // One of the two, which says what the task needs: fixed representations, or a network.
  std::unique_ptr<ProbeTask> (*make_probe)(const TaskParts& parts);
  std::unique_ptr<NetworkTask> (*make_network)(const TaskParts& parts);

  bool trains_network() const { return make_network != nullptr; }
};

std::span<const TaskEntry> tasks();

// task.name and every task's own keys.
std::vector<Key> task_keys();

// That of task.name.
const TaskEntry& task_of(const Configuration& configuration);

}  // namespace lacuna
