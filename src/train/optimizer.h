// Optimizers: how gradients change parameters. The list of them is in optimizer.cpp: one is an
// update (ops/updates.h), a class, and a line with its keys.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "config/configuration.h"
#include "graph/forward_context.h"
#include "ops/sparse_rows.h"

namespace lacuna {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // The factor on the learning rate of each parameter (layer-wise decay); 1 where this was not
  // called. Before attach().
  using RateFactor = std::function<double(const State& parameter)>;
  virtual void set_rate_factor(RateFactor factor) = 0;
  // Makes the State that goes with these parameters ("optimizer.momentum.<parameter>"). With
  // `shared_by`, each of its ranks keeps and updates its slice alone of every parameter (ZeRO stage
  // 1: Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054).
  virtual void attach(StateStore& store, const std::vector<State*>& parameters,
                      Communicator* shared_by) = 0;
  // Records the updates of the attached parameters, or of the slices, by their gradients (summed
  // over ranks), in the same order. `clip`: a factor on every gradient, f64 []. `step` counts from
  // 0.
  virtual void record(const std::vector<Tensor>& gradients, const Tensor& rate, const Tensor& clip,
                      int64_t step, ForwardContext& forward) = 0;

  // The same of a table [V, D] whose gradients are sparse (ops/sparse_rows.h): only the rows that a
  // step touches are changed, with their part of the optimizer's State, by the update that dense
  // parameters have; others keep their momenta until they are touched again (as PyTorch's
  // SparseAdam has it: an exact step would change every row, and so cost what the table is long).
  // Changed rows reach all ranks. The table must be exempt from weight decay.
  virtual void attach_table(StateStore& store, State& table, Communicator* shared_by) = 0;
  // `number`: in the order of attach_table(); `gradient` is summed().
  virtual void record_table(size_t number, const SparseGradient& gradient, const Tensor& rate,
                            const Tensor& clip, int64_t step, ForwardContext& forward) = 0;
};

// The optimizer.* keys: the name, those that all have, each one's own.
std::vector<Key> optimizer_keys();
std::unique_ptr<Optimizer> make_optimizer(const Configuration& configuration);

}  // namespace lacuna
