// What the finetune stage does with a task: a probe is fitted to representations, a network is
// trained. The tasks themselves are in src/tasks.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/configuration.h"
#include "stages/finetune/task_data.h"
#include "stages/finetune/trials.h"
#include "stages/setup/compute.h"
#include "stages/setup/model.h"
#include "tasks/list.h"
#include "train/early_stop.h"

namespace lacuna {

// What a task is done with.
struct FinetuneJob {
  const Configuration& configuration;  // of the task
  const Configuration& pretraining;    // of the run it starts from
  const Checkpoint& checkpoint;        // of that run
  const TaskData& data;
  std::filesystem::path run;  // the run's folder
  Compute& compute;
  const EarlyStop& early_stop;
  StageContext& context;
};

// A task whose data and networks were found good: gives the results of all draws of labels, each a
// trial by the name of draw_name(). Collective; the same on every rank.
using ReadyTask = std::function<std::vector<TrialResult>(Trials& trials)>;
// Collective. The job must outlive what they return.
ReadyTask ready_probe(const FinetuneJob& job, const TaskEntry& task);
ReadyTask ready_network(const FinetuneJob& job, const TaskEntry& task);

// What a task is made from, that learns from these samples; they must outlive the task.
TaskParts parts_of(const FinetuneJob& job, const std::vector<int64_t>* labelled = nullptr);

// "draw 1" for the first one, which has the number 0. Its model is kept (finetuned_model.h).
std::string draw_name(int64_t draw);
// Of a draw: "draw 1: 40 labels, accuracy 0.5; held-out accuracy 0.6 with 0.003".
void tell_of_draw(Log& log, int64_t draw, size_t labels, const TrialResult& result);
// Warns that a draw has no held-out labels to choose a hyper-parameter by.
void tell_that_none_is_held_out(Log& log, int64_t draw, double chosen);

// Says so where all values of a hyper-parameter do equally well (the scores of each on the held-out
// labels), so that the first is taken.
void tell_of_ties(Log& log, int64_t draw, const std::vector<std::vector<Score>>& held_out,
                  double chosen);

// The representations that probes are fitted to lie in the run's folder until it is finished, so
// that they are not made again. How far they have come, for people (", train.h5: 1024 samples", or
// nothing); and their removal.
std::string features_text(const std::filesystem::path& run);
void remove_features(const std::filesystem::path& run);

}  // namespace lacuna
