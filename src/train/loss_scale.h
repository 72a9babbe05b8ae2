// Loss scaling for float16 (Micikevicius et al. 2018, "Mixed precision training", section 3.2):
// gradients are those of `value` times the loss, so that small ones do not vanish in 16 bits; a
// step whose gradients overflow is left out and the scale halved, and after many steps without
// overflow it is doubled.
#pragma once

#include "graph/state.h"

namespace lacuna {

inline constexpr const char* loss_scaling = "loss_scaling";

class LossScale {
 public:
  // Makes the buffer loss_scaling, f64 [2]: the scale, and the steps since it changed.
  explicit LossScale(StateStore& store);
  double value() const;
  // After a step: whether its gradients were finite. bad_values when no scale is small enough: the
  // gradients themselves are not finite.
  void follow(bool finite);

 private:
  State& state_;
};

}  // namespace lacuna
