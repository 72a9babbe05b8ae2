// TaskTargets: what is to be predicted of the samples of a task, and by what some of the training
// samples are held out; with what to say of it.
#pragma once

#include <string>
#include <vector>

#include "config/configuration.h"
#include "data/files/dataset.h"
#include "tasks/held_out.h"
#include "tasks/list.h"

namespace lacuna {

struct TaskTargets {
  Targets train, test;
  HoldOut hold_out;                           // of the training samples
  std::vector<std::string> class_names = {};  // of each class; empty: the numbers from 0 on
  std::vector<std::string> lines = {}, warnings = {};  // on rank 0: what the user should know
};

// Collective; the same on every rank. Reads the columns data.label and test.label and, as
// task.held_out says, task.group or task.time. bad_input where a column has not one row for each
// sample or each series, where labels are no targets of the task (tasks/label_targets.h), or where
// none can be held out.
TaskTargets task_targets(const Configuration& configuration, const TaskEntry& task,
                         const Dataset& train, const Dataset& test, Communicator& communicator);

// The samples whose labels a draw uses, ascending.
std::vector<int64_t> labelled_samples(const Configuration& configuration, const Targets& targets,
                                      int64_t draw);

}  // namespace lacuna
