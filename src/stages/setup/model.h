// The model of a run, as its configuration describes it: State, objective, and what the loader must
// make for it. Shared by pretrain, embed and finetune.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "objectives/list.h"
#include "run/checkpoint.h"
#include "stages/setup/compute.h"

namespace lacuna {

class Model {
 public:
  // Of samples of these parts, which outlive the model; all that the objective asks for are there.
  Model(const Configuration& configuration, const PartModalities& parts, Device& device);

  StateStore& store() { return store_; }
  const StateStore& store() const { return store_; }
  const Objective& objective() const { return *objective_; }

 private:
  StateStore store_;
  std::unique_ptr<Objective> objective_;
};

// Collective: rank 0 finds the usable checkpoint that `which` asks for ("last", "best", a step);
// all read its manifest. None where there is no usable one.
std::optional<Checkpoint> find_on_all_ranks(const std::filesystem::path& run,
                                            std::string_view which, StageContext& context);

// The same, where having none is bad_input on every rank.
Checkpoint checkpoint_on_all_ranks(const std::filesystem::path& run, std::string_view which,
                                   StageContext& context);

// Collective: the configuration that pretrain stored in a run, with overrides.
Configuration pretraining_configuration(const std::filesystem::path& run,
                                        const std::vector<std::string>& overrides,
                                        Communicator& communicator);

// Collective: loads State from a checkpoint; an error of any rank is everyone's.
void load_state(const Checkpoint& checkpoint, std::span<const TensorTarget> targets, Match match,
                Communicator& communicator);

}  // namespace lacuna
