// Layer normalisation (Ba, Kiros, Hinton 2016): each row by its own mean and deviation. F: float
// types; P: the parameter type. N rows: all axes of x but the last.
//
//   layer_norm                                                           (LayerNormAttributes)
//     in   x F [.., D], gamma P [D], beta P [D]
//     out  y F [.., D] = gamma xhat + beta, mean P [N], rstd P [N];
//          xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + epsilon), the variance over D
//   layer_norm_gradient
//     in   dy F [.., D], x F [.., D], mean, rstd, gamma
//     out  dx F [.., D] = rstd (g - mean(g) - xhat mean(g xhat)), g = dy gamma;
//          dgamma P [D] = sum of dy xhat over the rows, dbeta P [D] = sum of dy, both in double
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct LayerNormAttributes {
  static constexpr uint64_t id = hash_name("LayerNormAttributes");
  double epsilon;
};

namespace operands {

struct LayerNorm {
  enum : size_t { x, gamma, beta };
  enum : size_t { y, mean, rstd };
};

struct LayerNormGradient {
  enum : size_t { dy, x, mean, rstd, gamma };
  enum : size_t { dx, dgamma, dbeta };
};

}  // namespace operands

}  // namespace lacuna
