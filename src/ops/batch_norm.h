// Batch normalisation (Ioffe and Szegedy 2015) over all axes but the last, its statistics those of
// the global batch where a communicator is given:
//
//   y = act(gamma (x - mean) rstd + beta + residual),   rstd = 1 / sqrt(variance + epsilon)
//
// x F [B, .., C]; gamma, beta P [C]; moments f64 [1 + 2C] = count, mean, sum of squared deviations.
//
//   Tensor moments = training ? batch_moments(x, synchronised ? &communicator : nullptr)
//                             : fixed_moments(mean.tensor(), variance.tensor());
//   Tensor y = batch_norm(x, moments, gamma, beta, {.relu = true, .communicator = …});
//
// With a mask of positions that count (ops/masks.h), others are no part of the statistics, y is 0
// there, and what x is there changes no bit of anything. A mask of ones changes none either.
//
// Statistics are summed in double-double arithmetic, so that y is the same bit for bit on any
// number of ranks and threads; the sums of the gradient in double, in rank order, so that gradients
// do not depend on the ranks beyond rounding. Deterministic.
// Shapes or dtypes that do not fit are a broken precondition.
#pragma once

#include "graph/forward_context.h"
#include "graph/state.h"
#include "graph/tensor.h"

namespace lacuna {

// The moments of this rank's x, or, with `synchronised`, of all ranks' x (which may hold different
// numbers of rows, none included): one all_gather of 1 + 4C doubles. With a mask F [B, ..], x must
// be what keep() made by it.
Tensor batch_moments(const Tensor& x, Communicator* synchronised, const Tensor& mask = {});
// Moments that do not depend on x: mean and variance P [C], as running_update keeps them.
Tensor fixed_moments(const Tensor& mean, const Tensor& variance);

struct BatchNormOptions {
  double epsilon = 1e-5;
  bool relu = false;
  Tensor residual = {};  // F [B, .., C], added before the ReLU
  // The ranks that `moments` were made over: the same as given to batch_moments.
  Communicator* communicator = nullptr;
  Tensor mask = {};  // F [B, ..], by which keep() made x; the residual is free
};

// The gradient by x is the full one: it flows through the statistics too (and therefore none flows
// into `moments`); where they come from fixed_moments it is gamma rstd g. The gradients by gamma
// and beta are this rank's share, to be summed over ranks like those of all parameters. Keeps x,
// and y if there is a ReLU.
Tensor batch_norm(const Tensor& x, const Tensor& moments, const Tensor& gamma, const Tensor& beta,
                  const BatchNormOptions& options = {});

// running += momentum (value - running) for mean and (unbiased: count - 1) variance, both P [C].
// With moments of one rank only, running statistics differ from rank to rank.
Update running_update(const Tensor& moments, State& mean, State& variance, double momentum);

extern const Operation batch_norm_statistics_operation;
extern const Operation batch_norm_merge_operation;
extern const Operation batch_norm_fixed_moments_operation;
extern const Operation batch_norm_apply_operation;
extern const Operation masked_batch_norm_apply_operation;
extern const Operation batch_norm_gradient_statistics_operation;
extern const Operation batch_norm_gradient_apply_operation;
extern const Operation batch_norm_parameter_gradient_operation;
extern const Operation batch_norm_running_update_operation;

}  // namespace lacuna
