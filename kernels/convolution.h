// Convolution (cross-correlation, as the field calls it) over 1 to 3 spatial axes, channels-last
// activations, PyTorch's weight layout. F: float types; P: the parameter type. Weights and bias are
// of x's type or P.
//
//   convolution                  in   x F [B, in…, C], w [K, C, kernel…], bias [K] (if `bias`)
//                                out  y F [B, out…, K]
//   convolution_data_gradient    in   dy F [B, out…, K], w        out  dx F [B, in…, C]
//   convolution_weight_gradient  in   x F, dy F                   out  dw [K, C, kernel…]
//   grouped_convolution, grouped_convolution_data_gradient, grouped_convolution_weight_gradient
//                                the same of `groups` G > 1, with w and dw [K, C / G, kernel…]: the
//                                channels of x and of y are cut into G runs of equal length, and
//                                each run of y comes from that of x alone
//
// All take Convolution; `bias` is 0 for the gradients (the bias's is column_sum). Each takes
// 2 B prod(out) K C / G prod(kernel) FLOPs.
//
//   block_diagonal   in   w F or P [K, C / G, kernel…]                                  (Groups)
//                    out  [K, C, kernel…]: each group's rows at its channels, zeros elsewhere
//   diagonal_blocks  in   w F or P [K, C, kernel…]                                      (Groups)
//                    out  [K, C / G, kernel…]
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct Convolution {
  static constexpr uint64_t id = hash_name("Convolution");
  int64_t batch, in_channels, out_channels;
  int64_t axes;  // spatial axes, 1 to 3; the sizes below hold the last `axes` of them, 1s (padding
                 // 0) before
  int64_t in[3], kernel[3], stride[3], padding[3], out[3];
  int64_t bias;         // 0 or 1
  int64_t dilation[3];  // steps between the pixels that neighbours of the kernel meet; at least 1
  int64_t groups;       // at least 1
};

struct Groups {
  static constexpr uint64_t id = hash_name("Groups");
  int64_t groups;
};

// What the CPU may compute a convolution in f32 by: `direct` convolutions alone; `exact`, also
// Winograd's F(2x2), which rounds as direct ones do (relative L2 errors of ResNet-18's layers up to
// 4e-7, theirs up to 1.1e-6); `fast`, also F(4x4) (up to 1.3e-6).
enum class ConvolutionMethods { direct, exact, fast };

namespace operands {

struct Convolution {
  enum : size_t { x, w, bias };
  enum : size_t { y };
};

}  // namespace operands

}  // namespace lacuna
