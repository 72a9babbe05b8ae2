// Optimizers: how gradients change parameters. The list of them is in optimizer.cpp: one is an update
// (ops/updates.h), a class, and a line with its keys.
#pragma once

#include <memory>
#include <vector>

#include "base/configuration.h"
#include "graph/recording.h"

namespace lacuna {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Makes the State that goes with these parameters ("optimizer.momentum.<parameter>").
  virtual void attach(StateStore& store, const std::vector<State*>& parameters) = 0;
  // Records the updates of the attached parameters by their gradients (summed over ranks), in the
  // same order. `clip`: a factor on every gradient, f64 []. `step` counts from 0.
  virtual void record(const std::vector<Tensor>& gradients, const Tensor& rate, const Tensor& clip,
                      int64_t step, Recording& recording) = 0;
};

// The optimizer.* keys: the name, those that all have, each one's own.
std::vector<Key> optimizer_keys();
std::unique_ptr<Optimizer> make_optimizer(const Configuration& configuration);

}  // namespace lacuna
