// TaskData: the samples of a task, what is to be predicted of them, and by what some of the
// training samples are held out.
#pragma once

#include "config/configuration.h"
#include "stages/setup/source.h"
#include "stages/setup/stage.h"
#include "tasks/held_out.h"
#include "tasks/list.h"

namespace lacuna {

struct TaskData {
  // Collective; the same on every rank. Reads the targets of all samples in the columns data.label
  // and test.label: classes, or values [N] or [N, width], which may be numbers of any type; and, as
  // task.held_out says, the columns of task.group or task.time. Samples are read as in the run of
  // the checkpoint. bad_input where a column has not one row for each sample, a class is no whole
  // number, a value no number, or where the test samples have other values than the training ones.
  TaskData(const Configuration& configuration, const TaskEntry& task, const Checkpoint& checkpoint,
           int threads, StageContext& context);

  Source train, test;
  Targets train_targets, test_targets;
  HoldOut hold_out;  // of the training samples

  // Of samples and targets, for TrialsOrigin.
  std::string train_hash() const;
  std::string test_hash() const;
};

}  // namespace lacuna
