// The downstream tasks of the finetune stage; finetune.cpp holds their one list.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/configuration.h"
#include "stages/compute.h"
#include "stages/model.h"
#include "stages/source.h"

namespace lacuna {

// What a task is given.
struct FinetuneJob {
  const Configuration& configuration;  // of the task
  const Configuration& pretraining;    // of the run it starts from
  const Checkpoint& checkpoint;        // of that run
  const Source& train;
  const Source& test;
  Compute& compute;
  StageContext& context;
};

// One draw of labels.
struct DrawResult {
  double test_accuracy = 0;
  double held_out_accuracy = 0;
  double chosen = 0;  // the rate, k or regularisation that did best on the held-out labels
};

// The results of all draws. Collective; the same on every rank.
using Task = std::vector<DrawResult> (*)(const FinetuneJob& job);

std::vector<DrawResult> linear_task(const FinetuneJob& job);
std::vector<DrawResult> knn_task(const FinetuneJob& job);
std::vector<DrawResult> classify_task(const FinetuneJob& job);

std::vector<Key> linear_keys();
std::vector<Key> knn_keys();
std::vector<Key> classify_keys();

// task.*: the name, what all tasks have, each one's own; and where the test data are.
std::vector<Key> finetune_keys();

}  // namespace lacuna
