// A small experiment's State as a checkpoint of a run's folder, and back.
#pragma once

#include <filesystem>

#include "support/experiment.h"
#include "train/checkpoint.h"
#include "train/loop.h"

namespace lacuna::testing {

inline void save(SmallExperiment& from, const std::filesystem::path& run, int64_t step) {
  CheckpointWriter writer(run, {}, 0);
  CheckpointInfo info;
  info.step = step;
  writer.start(info, named_tensors(from.store()));
  writer.wait();
}

inline void load(SmallExperiment& to, const std::filesystem::path& run, int64_t step) {
  load_tensors(read_checkpoint(checkpoint_folder(run, step)), tensor_targets(to.store()),
               Match::all);
}

}  // namespace lacuna::testing
