// What train.on_bad_loss = "roll_back" does: after a loss that is not finite a run goes on from its
// last checkpoint, behind the step that was bad. A run that is killed later and goes on from that
// checkpoint comes to the same step, and does the same.
#pragma once

#include <filesystem>
#include <functional>

#include "graph/state.h"
#include "stages/setup/stage.h"
#include "train/loop.h"

namespace lacuna {

class RollBack {
 public:
  // What it is given must outlive it. `wanted`: else a bad loss ends the run.
  RollBack(std::filesystem::path run, bool wanted, StateStore& store, Trainer& trainer,
           StageContext& context);

  // Trains from the State of this checkpoint's step to the end of the run. `train` is called with
  // the step of the checkpoint that the State is of and the first step to do, again after each
  // NonFiniteLoss, with no checkpoint still being written; the State is then that of the newest
  // checkpoint that holds numbers only. What is bad goes on where the run ends: rolling back is not
  // wanted, there is no such checkpoint, or it is the third time from the same one. Collective.
  using Train = std::function<void(int64_t checkpoint, int64_t first_step)>;
  void run(int64_t checkpoint, const Train& train);

 private:
  int64_t back(const NonFiniteLoss& bad);
  bool has_numbers_only() const;

  std::filesystem::path run_;
  bool wanted_;
  StateStore& store_;
  Trainer& trainer_;
  StageContext& context_;
  int64_t last_ = -1;  // step of the checkpoint it went back to last
  int times_ = 0;
};

}  // namespace lacuna
