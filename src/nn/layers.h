// Layers: parameters, and a forward made of operations. A layer is called with what it is recorded
// with (graph/forward_context.h). Names of parameters are PyTorch's.
#pragma once

#include <optional>

#include "graph/forward_context.h"
#include "nn/scope.h"
#include "ops/batch_norm.h"

namespace lacuna {

// Batch normalisation over all axes but the last, with running statistics for evaluation
// (momentum 0.1, epsilon 1e-5); ReLU and a residual fused in. With a mask F [B, ..] of x F [B, ..,
// C], statistics are those of the positions that count, over all ranks, and the others come out 0.
class BatchNorm {
 public:
  BatchNorm(Scope scope, int64_t channels);
  Tensor operator()(const Tensor& x, ForwardContext& forward, bool relu = false,
                    const Tensor& residual = {}, const Tensor& mask = {}) const;

 private:
  State& weight_;
  State& bias_;
  State& running_mean_;
  State& running_variance_;
};

// y = x W^T + b, x [.., in], W [out, in] from N(0, 1 / in), b = 0.
class Linear {
 public:
  Linear(Scope scope, int64_t in, int64_t out, bool bias = true);
  Tensor operator()(const Tensor& x, ForwardContext& forward) const;
  // residual + the layer's y; and gelu(y).
  Tensor added(const Tensor& x, const Tensor& residual) const;
  Tensor gelu(const Tensor& x) const;

 private:
  Tensor rows_of(const Tensor& x) const;                     // [.., in] -> [rows, in]
  Tensor shaped(const Tensor& y, const Tensor& like) const;  // [rows, out] -> [.., out]
  Tensor bias() const { return bias_ ? bias_->tensor() : Tensor(); }
  State& weight_;
  State* bias_;
};

// Linear - batch norm - ReLU - … - linear [- batch norm], as projection heads and predictors are.
class Mlp {
 public:
  // `sizes`: in, hidden…, out.
  Mlp(Scope scope, const std::vector<int64_t>& sizes, bool last_norm);
  Tensor operator()(Tensor x, ForwardContext& forward) const;
  int64_t out() const { return out_; }

 private:
  int64_t out_;
  std::vector<Linear> linear_;
  std::vector<BatchNorm> norm_;
};

// Copies every State below `from` onto the one of the same name below `to` (a teacher's start).
void copy_state(StateStore& store, const std::string& from, const std::string& to);

// Records, for after the optimizer's update: each parameter below `teacher` becomes
// momentum * itself + (1 - momentum) * that below `student`; buffers (running statistics) are the
// teacher's own.
void record_momentum_update(StateStore& store, const std::string& student,
                            const std::string& teacher, const Tensor& momentum,
                            ForwardContext& forward);

}  // namespace lacuna
