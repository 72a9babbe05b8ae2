// The model that finetune keeps for predict, in RUN/model: a checkpoint (docs/formats.md) with the
// network's State, what the run found in its data, and what the task itself found ("task.…",
// "probe.…"). It is the first draw's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/checkpoint.h"
#include "stages/finetune/finetune.h"

namespace lacuna {

// Collective. Writes it, in place of one that is there; on the disk when it returns. `state`: of
// the network, whole on every rank. `probe`: what was fitted, null where a network was trained.
void keep_model(const FinetuneJob& job, const Task& task, const std::vector<const State*>& state,
                const FittedProbe* probe);

// Collective; the same on every rank. bad_input where the run keeps no usable one.
Checkpoint kept_model(const std::filesystem::path& run, StageContext& context);

// Of each class the name that its labels had; empty where it is its number.
std::vector<std::string> kept_class_names(const Checkpoint& model);

// Those of the model whose names begin with "task." or "probe.", without that.
NamedTensors kept_tensors(const Checkpoint& model, const std::string& prefix);

}  // namespace lacuna
