// Convolutions over 1 to 3 axes.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/forward_context.h"
#include "nn/scope.h"
#include "ops/convolution.h"

namespace lacuna {

// What a convolution is made of; vectors have one value per spatial axis.
struct ConvolutionShape {
  int64_t in, out;  // channels
  std::vector<int64_t> kernel;
  std::vector<int64_t> stride = {1}, dilation = {1};  // or one value for all axes
  int64_t groups = 1;
  bool bias = false;
};

// The same kernel and stride along each of `axes`; without a bias, since a normalisation follows.
ConvolutionShape even_convolution(int axes, int64_t in, int64_t out, int64_t kernel,
                                  int64_t stride = 1);

// x [B, n.., in] -> [B, n'.., out], padded by dilation (kernel - 1) / 2 on both sides: with an odd
// kernel and a stride of 1, n' is n. Weights: He et al. 2015, N(0, 2 / (out / groups
// prod(kernel))), in PyTorch's layout; the bias begins as 0.
class ConvolutionLayer {
 public:
  ConvolutionLayer(Scope scope, const ConvolutionShape& shape);
  Tensor operator()(const Tensor& x, ForwardContext& forward) const;

 private:
  State& weight_;
  State* bias_;
  ConvolutionOptions options_;
};

}  // namespace lacuna
