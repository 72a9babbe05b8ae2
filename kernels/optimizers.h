// Updates of many tensors in one call. P: the parameter type. n tensors g_i P [..] are the
// gradients (summed over ranks); `rate` is the learning rate, `clip` a factor on every gradient (0:
// no target changes, whatever the gradients are); all scalars are f64 [].
//
//   sgd_update                                                           (Sgd)
//     in   g_0 … g_{n-1}, rate, clip           targets  w_0 …, v_0 …
//     g = clip g + decay w;  v = momentum v + g;  w -= rate v
//   lars_norms (not an update)                                           (LarsNorms)
//     in   g_0 … g_{n-1}, w_0 …, clip          out  f64 [n, 2]
//     |w|^2, |clip g + decay w|^2: of parts of tensors, their sum is the tensors'
//   lars_update (You, Gitman, Ginsburg 2017, as lightly and SimCLR have it)          (Lars)
//     in   g_0 … g_{n-1}, rate, clip, norms    targets  w_0 …, v_0 …
//     norms f64 [n, 2]: lars_norms of the same;  g = clip g + decay w;
//     g *= norms[0] > 0 and norms[1] > 0 ? trust sqrt(norms[0] / norms[1]) : 1;
//     v = momentum v + g;  w -= rate v
//   adamw_update (Loshchilov, Hutter 2019)                               (AdamW)
//     in   g_0 … g_{n-1}, rate, clip, c1, c2   targets  w_0 …, m_0 …, v_0 …
//     c1 = 1 - beta1^t, c2 = 1 - beta2^t;  g = clip g
//     w -= rate decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
//     w -= rate (m / c1) / (sqrt(v / c2) + epsilon)
//   ema_update
//     in   x_0 … x_{n-1} P, momentum           targets  t_0 …
//     t = momentum t + (1 - momentum) x
//   clip_factor (not an update)                                          (ClipFactor)
//     in   squared_norm, unscale f64 []        out  f64 []
//     norm = unscale sqrt(squared_norm);
//     unscale min(1, limit / (norm + 1e-6)), or 0 where norm is not finite
#pragma once

#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct Sgd {
  static constexpr uint64_t id = hash_name("Sgd");
  double momentum, decay;
};

struct LarsNorms {
  static constexpr uint64_t id = hash_name("LarsNorms");
  double decay;
};

struct Lars {
  static constexpr uint64_t id = hash_name("Lars");
  double momentum, decay, trust;
};

struct AdamW {
  static constexpr uint64_t id = hash_name("AdamW");
  double beta1, beta2, epsilon, decay;
};

struct ClipFactor {
  static constexpr uint64_t id = hash_name("ClipFactor");
  double limit;  // may be infinity
};

}  // namespace lacuna
