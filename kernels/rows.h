// Kernels on rows (axis 0) of tensors. F: float types; P: the parameter type.
//
//   normalize_rows           in  x F [N, D]              out  y F [N, D] = x / max(|x|, epsilon),
//   norms P [N] = max(|x|, epsilon) normalize_rows_gradient  in  dy, y F [N, D], norms   out  dx F
//   [N, D] = (dy - y (y . dy)) / norm
//                                                             (norm == epsilon: dy / epsilon)
//   concatenate              in  x_0 F [N_0, ..] …       out  y F [sum N_i, ..]
//   place_rows               in  x F [n, ..]             out  y F [N, ..]: x from row `begin` on,
//   zeros elsewhere
#pragma once

#include <cstdint>

namespace lacuna {

struct NormalizeRows {
  double epsilon;
};

struct PlaceRows {
  int64_t begin;
};

}  // namespace lacuna
