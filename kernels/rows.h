// Kernels on rows (axis 0) of tensors. F: float types; P: the parameter type.
//
//   normalize_rows                                                       (NormalizeRows)
//     in   x F [N, D]
//     out  y F [N, D] = x / norm, norms P [N] = max(|x|, epsilon)
//   normalize_rows_gradient                                              (NormalizeRows)
//     in   dy, y F [N, D], norms
//     out  dx F [N, D] = (dy - y (y . dy)) / norm; where norm is epsilon (as P): dy / epsilon
//   scale_rows
//     in   x F [N, ..], factors P [N]           out  y F [N, ..] = x factor of its row    in_place
//   concatenate
//     in   x_0 F [N_0, ..] …                    out  y F [sum N_i, ..]; f64 on every device
//   place_rows                                                           (PlaceRows)
//     in   x F [n, ..]                          out  y F [N, ..]: x from row `begin` on, else zeros
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct NormalizeRows {
  static constexpr uint64_t id = hash_name("NormalizeRows");
  double epsilon;
};

struct PlaceRows {
  static constexpr uint64_t id = hash_name("PlaceRows");
  int64_t begin;
};

namespace operands {

struct NormalizeRowsGradient {
  enum : size_t { dy, y, norms };
  enum : size_t { dx };
};

}  // namespace operands

}  // namespace lacuna
