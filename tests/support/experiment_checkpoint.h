// A small experiment's State as a checkpoint of a run's folder, and back.
#pragma once

#include <filesystem>

#include "run/checkpoint.h"
#include "run/stored_state.h"
#include "support/experiment.h"

namespace lacuna::testing {

inline void save(SmallExperiment& from, const std::filesystem::path& run, int64_t step) {
  CheckpointWriter writer(run, {}, 0);
  CheckpointInfo info;
  info.step = step;
  info.batches = BatchTable::constant({1});
  info.position = step;
  const auto self = self_communicator();
  writer.start(info, StoredState(from.store(), *self, true).tensors());
  writer.wait();
}

inline void load(SmallExperiment& to, const std::filesystem::path& run, int64_t step) {
  load_tensors(read_checkpoint(checkpoint_folder(run, step)), tensor_targets(to.store()),
               Match::all);
}

}  // namespace lacuna::testing
