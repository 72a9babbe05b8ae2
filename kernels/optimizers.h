// Updates of many tensors in one call. P: the parameter type. n tensors g_i P [..] are the
// gradients (summed over ranks); `rate` is the learning rate, `clip` a factor on every gradient;
// both f64 [].
//
//   sgd_update    in  g_0 … g_{n-1}, rate, clip             targets  w_0 …, v_0 …
//                 g = clip g + decay w;  v = momentum v + g;  w -= rate v
//   lars_update   the same operands (You, Gitman, Ginsburg 2017), as lightly and SimCLR have it:
//                 g = clip g;  g += decay w;  g *= |w| > 0 and |g| > 0 ? trust |w| / |g| : 1
//                 (adapted tensors only); v = momentum v + g;  w -= rate v
//   adamw_update  in  g_0 …, rate, clip, c1 f64 [] = 1 - beta1^t, c2 f64 [] = 1 - beta2^t   targets
//   w…, m…, v…
//                 (Loshchilov, Hutter 2019) w -= rate decay w;  m = beta1 m + (1 - beta1) g;
//                 v = beta2 v + (1 - beta2) g^2;  w -= rate (m / c1) / (sqrt(v / c2) + epsilon)
//   ema_update    in  x_0 … x_{n-1} P, momentum f64 []      targets  t_0 …:  t = momentum t + (1 -
//   momentum) x clip_factor   (not an update) in  squared_norm f64 []   out  f64 [] = min(1, limit
//   / (norm + 1e-6))   (ClipFactor)
#pragma once

#include <cstdint>

namespace lacuna {

struct Sgd {
  double momentum, decay;
};

struct Lars {
  double momentum, decay, trust;
  int64_t adapt;  // 0: plain SGD (biases and normalisation)
};

struct AdamW {
  double beta1, beta2, epsilon, decay;
};

struct ClipFactor {
  double limit;
};

}  // namespace lacuna
