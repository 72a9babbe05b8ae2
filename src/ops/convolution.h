// Convolution (cross-correlation) over 1 to 3 spatial axes:
//   y[b, o, k] = bias[k] + sum over c and kernel position r of
//                x[b, o stride - padding + r dilation, c] w[k, c, r], zeros outside x;
// c goes over the channels of k's group (all of them, where there is one).
#pragma once

#include <cstdint>
#include <vector>

#include "graph/tensor.h"

namespace lacuna {

struct ConvolutionOptions {
  std::vector<int64_t> stride = {1};    // one value per spatial axis, or one for all
  std::vector<int64_t> padding = {0};   // on both sides, likewise
  std::vector<int64_t> dilation = {1};  // likewise
  // Of channels; divides those of x and of y (as many: a depthwise convolution).
  int64_t groups = 1;
};

// x F [B, in…, C], w [K, C / groups, kernel…], bias [K] or undefined -> y F [B, out…, K], out =
// floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. w and bias have x's dtype or
// are parameters (P: f32 beside bf16 activations); their gradients have theirs. Keeps x and w for
// backward. Deterministic. An input smaller than the kernel is bad_input (a network too deep for
// the images); everything else that does not fit is a broken precondition. A device without a
// kernel for groups computes them as one, with zeros between: groups times the FLOPs.
Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias = {},
                   const ConvolutionOptions& options = {});

extern const Operation convolution_operation;
extern const Operation convolution_data_gradient_operation;
extern const Operation convolution_weight_gradient_operation;
extern const Operation grouped_convolution_operation;
extern const Operation grouped_convolution_data_gradient_operation;
extern const Operation grouped_convolution_weight_gradient_operation;
extern const Operation block_diagonal_operation;
extern const Operation diagonal_blocks_operation;

}  // namespace lacuna
