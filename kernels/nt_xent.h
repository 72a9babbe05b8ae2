// NT-Xent (Chen et al. 2020, SimCLR, eq. 1): this rank's share of the mean over the 2G rows of the
// global batch. F: float types; P: the parameter type.
//
//   nt_xent           in  z0, z1 F [B, D] (this rank's rows), all0, all1 F [G, D] (all ranks' rows)
//                     out loss P []:  sum over this rank's rows i of both views of
//                         (lse_i - z_i . z_pair(i) / t) / (2G),  lse_i over the 2G - 1 rows other
//                         than i itself; lse P [2B]: of the rows of view 0, then of view 1
//   nt_xent_gradient  in  dloss P [], z0, z1, all0, all1, lse
//                     out dz0, dz1 F [B, D], dall0, dall1 F [G, D]
//
// 8 B G D FLOPs forward; the 2B x 2G matrix of similarities need not be kept in memory.
#pragma once

#include <cstdint>

namespace lacuna {

struct NtXent {
  double temperature;
  int64_t first;  // where this rank's rows begin among all0's and all1's
};

}  // namespace lacuna
