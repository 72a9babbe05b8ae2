// Batch normalisation (Ioffe and Szegedy 2015) in four calls with a communicator between, so that
// the statistics are those of the global batch. F: float types; P: the parameter type.
//
// Moments of C channels are one f64 vector [1 + 2C]: count, mean[C], M2[C] (sum of squared
// deviations). Between ranks travel sums, f64 [1 + 4C]: count, sum x [C], sum x^2 [C], and what is
// to be added to either for double-double arithmetic (kernels/double_double.h). A rank without rows
// has zeros. So moments, and all that the forward pass makes of them, are the same bit for bit
// however the rows are divided over ranks and threads: a difference in a last bit would turn a ReLU
// now and then, and one ReLU that turns changes gradients by 1e-3.
//
//   batch_norm_statistics
//     in   x F [B, .., C]
//     out  sums f64 [1 + 4C]
//   batch_norm_merge
//     in   sums f64 [R, 1 + 4C]
//     out  moments f64 [1 + 2C]
//   batch_norm_fixed_moments
//     in   mean P [C], variance P [C]
//     out  moments f64 [1 + 2C] of count 1
//   In what follows a count of 0 (a mask that shows nothing) is taken for 1, so that what there is
//   not, which a gradient of 0 is multiplied by, is a number.
//   batch_norm_apply                                                     (BatchNormAttributes)
//     in   x F [.., C], moments, gamma P [C], beta P [C], residual F [.., C] (if `residual`)
//     out  y F [.., C] = act(gamma xhat + beta + residual), xhat = (x - mean) rstd,
//          rstd = 1 / sqrt(M2 / count + epsilon), act = ReLU if `relu`
//   batch_norm_gradient_statistics                                       (BatchNormAttributes)
//     in   dy, x, y F [.., C], moments, gamma, beta
//     out  sums f64 [2C]: sum of g, then sum of g xhat; g = relu ? (y > 0 ? dy : 0) : dy
//     Without `relu`, y is dy again: it must not be read. With `relu` and without `residual` y is
//     relu(gamma xhat + beta), so a kernel need not read it either.
//   batch_norm_gradient_apply                                            (BatchNormAttributes)
//     in   dy, x, y, moments, sums (of the global batch), gamma, beta
//     out  dx F [.., C] = gamma rstd (g - sums[0] / count - xhat sums[1] / count), or, if `fixed`,
//          gamma rstd g, and then g F [.., C], the residual's gradient (if `residual`)
//   masked_batch_norm_apply                                              (BatchNormAttributes)
//     in   x F [.., C], 0 where the mask is; moments, gamma, beta, mask F [..],
//          residual F [.., C] (if `residual`)
//     out  y F [.., C]: batch_norm_apply's where the mask is not 0, else 0
//   batch_norm_parameter_gradient
//     in   sums f64 [2C] (of this rank)
//     out  dgamma P [C] = sums[1], dbeta P [C] = sums[0]
//   batch_norm_running_update (an update)                                (RunningUpdate)
//     in   moments
//     targets  running mean P [C], running variance P [C]: running += momentum (value - running);
//          the variance is M2 / max(count - 1, 1); of a count of 0 they stay
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct BatchNormAttributes {
  static constexpr uint64_t id = hash_name("BatchNormAttributes");
  double epsilon;
  int64_t relu, residual;  // 0 or 1
  int64_t fixed;           // 0 or 1: the moments do not depend on x
};

struct RunningUpdate {
  static constexpr uint64_t id = hash_name("RunningUpdate");
  double momentum;  // weight of the new value
};

namespace operands {

struct BatchNormApply {
  enum : size_t { x, moments, gamma, beta, residual };
  enum : size_t { y };
};

struct MaskedBatchNormApply {
  enum : size_t { x, moments, gamma, beta, mask, residual };
  enum : size_t { y };
};

struct BatchNormGradientStatistics {
  enum : size_t { dy, x, y, moments, gamma, beta };
  enum : size_t { sums };
};

struct BatchNormGradientApply {
  enum : size_t { dy, x, y, moments, sums, gamma, beta };
  enum : size_t { dx, dresidual };
};

}  // namespace operands

}  // namespace lacuna
