// TaskData: the samples of a task, what is to be predicted of them, and by what some of the
// training samples are held out.
#pragma once

#include "config/configuration.h"
#include "stages/finetune/task_targets.h"
#include "stages/setup/source.h"
#include "stages/setup/stage.h"
#include "tasks/list.h"

namespace lacuna {

struct TaskData {
  // Collective; the same on every rank. Samples are read as in the run of the checkpoint, what is
  // to be predicted of them by task_targets(), which is told. bad_input as there, and where test
  // samples are read otherwise than training samples.
  TaskData(const Configuration& configuration, const TaskEntry& task, const Checkpoint& checkpoint,
           int threads, StageContext& context);

  Source train, test;
  TaskTargets targets;

  // Of samples and targets, for TrialsOrigin.
  std::string train_hash() const;
  std::string test_hash() const;
};

}  // namespace lacuna
