// Changes of State after a step: optimizers and moving averages, each for any number of tensors in
// one call; formulas and papers in kernels/optimizers.h. gradients[i], weights[i] and the
// optimizer's tensors [i] have one shape and the parameter type P. `rate` (learning rate) and
// `clip` (a factor on every gradient; 0: nothing changes) are f64 []. Deterministic. What does not
// fit is a broken precondition.
#pragma once

#include <vector>

#include "graph/forward_context.h"
#include "graph/state.h"
#include "graph/tensor.h"
#include "kernels/optimizers.h"

namespace lacuna {

using States = std::vector<State*>;

// SGD with momentum, as PyTorch has it (no dampening, no Nesterov).
Update sgd_update(const std::vector<Tensor>& gradients, const States& weights,
                  const States& momenta, const Tensor& rate, const Tensor& clip,
                  const Sgd& parameters);
// LARS: one trust ratio per tensor, from its norms. Of slices of tensors, the ranks' norms are
// summed between.
Tensor lars_norms(const std::vector<Tensor>& gradients, const std::vector<Tensor>& weights,
                  const Tensor& clip, double decay);
Update lars_update(const std::vector<Tensor>& gradients, const States& weights,
                   const States& momenta, const Tensor& rate, const Tensor& clip,
                   const Tensor& norms, const Lars& parameters);
// AdamW. correction1 = 1 - beta1^t, correction2 = 1 - beta2^t for step t = 1, 2, …: f64 [].
Update adamw_update(const std::vector<Tensor>& gradients, const States& weights, const States& m,
                    const States& v, const Tensor& rate, const Tensor& clip,
                    const Tensor& correction1, const Tensor& correction2, const AdamW& parameters);
// target = momentum target + (1 - momentum) x; momentum f64 []. x may be other State: recorded
// after the optimizer's update it is read as that left it.
Update ema_update(const std::vector<Tensor>& x, const States& targets, const Tensor& momentum);

// The factor, f64 [], on gradients of this squared norm (see squared_norm) that brings them back by
// `unscale`, f64 [], and then clips them: unscale min(1, limit / (unscale norm + 1e-6)), or 0 where
// the norm is no finite number. No gradient. limit > 0, and infinity clips nothing.
Tensor clip_factor(const Tensor& squared_norm, const Tensor& unscale, double limit);

extern const Operation sgd_update_operation;
extern const Operation lars_norms_operation;
extern const Operation lars_update_operation;
extern const Operation adamw_update_operation;
extern const Operation ema_update_operation;
extern const Operation clip_factor_operation;

}  // namespace lacuna
