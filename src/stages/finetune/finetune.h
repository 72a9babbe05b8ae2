// The downstream tasks of the finetune stage; finetune.cpp holds their one list.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/configuration.h"
#include "stages/finetune/trials.h"
#include "stages/setup/compute.h"
#include "stages/setup/model.h"
#include "stages/setup/source.h"
#include "train/early_stop.h"

namespace lacuna {

// What a task is given.
struct FinetuneJob {
  const Configuration& configuration;  // of the task
  const Configuration& pretraining;    // of the run it starts from
  const Checkpoint& checkpoint;        // of that run
  const Source& train;
  const Source& test;
  Compute& compute;
  const EarlyStop& early_stop;
  StageContext& context;
};

// A task whose data and networks were found good: gives the results of all draws of labels, each a
// trial by the name of draw_name(). Collective; the same on every rank.
using ReadyTask = std::function<std::vector<TrialResult>(Trials& trials)>;
// Collective. The job must outlive what it returns.
using Task = ReadyTask (*)(const FinetuneJob& job);

ReadyTask linear_task(const FinetuneJob& job);
ReadyTask knn_task(const FinetuneJob& job);
ReadyTask classify_task(const FinetuneJob& job);

// "draw 1" for the first one, which has the number 0.
std::string draw_name(int64_t draw);

// The representations that linear and knn classify lie in the run's folder until it is finished, so
// that they are not made again. How far they have come, for people (", train.h5: 1024 samples", or
// nothing); and their removal.
std::string features_text(const std::filesystem::path& run);
void remove_features(const std::filesystem::path& run);

}  // namespace lacuna
