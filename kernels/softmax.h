// Softmax and its logarithm over the last axis. F: float types. Rows: all axes but the last. Where
// a temperature t f64 [] follows the operands, x / t takes the place of x.
//
//   softmax               in   x F [.., K], (t)
//                         out  y F [.., K] = exp(x / t) / sum_k exp(x_k / t)         in_place
//   softmax_gradient      in   dy, y F [.., K], (t)
//                         out  dx F [.., K] = y (dy - sum_k dy_k y_k) / t            in_place
//   log_softmax           in   x F [.., K], (t)
//                         out  y F [.., K] = x / t - log sum_k exp(x_k / t)          in_place
//   log_softmax_gradient  in   dy, y F [.., K], (t)
//                         out  dx F [.., K] = (dy - exp(y) sum_k dy_k) / t           in_place
#pragma once

#include <cstddef>

namespace lacuna::operands {

struct Softmax {
  enum : size_t { x, temperature };
};

struct SoftmaxGradient {
  enum : size_t { dy, y, temperature };
};

}  // namespace lacuna::operands
