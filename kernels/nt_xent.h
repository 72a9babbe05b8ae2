// NT-Xent (Chen et al. 2020, SimCLR, eq. 1): this rank's share of the mean over the 2G rows of the
// global batch. P: the parameter type (src/ops casts bf16 to it).
//
//   nt_xent                                                              (NtXent)
//     in   z0, z1 P [B, D] (this rank's rows), all0, all1 P [G, D] (all ranks' rows), first i64 []:
//          where this rank's rows begin among all ranks', which differs from step to step
//     out  loss P []: sum over this rank's rows i of both views of
//            (lse_i - z_i . z_pair(i) / t) / (2G),
//            lse_i = log sum exp(z_i . z_j / t) over the 2G - 1 rows j other than i itself,
//          lse P [2B]: of the rows of view 0, then of view 1
//     z_pair(i) and all z_j are taken from all0 and all1 (that is where their gradients go)
//   nt_xent_gradient                                                     (NtXent)
//     in   dloss P [], z0, z1, all0, all1, first, lse
//     out  dz0, dz1 P [B, D], dall0, dall1 P [G, D]
//
// 8 B G D FLOPs forward; the 2B x 2G matrix of similarities need not be kept in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct NtXent {
  static constexpr uint64_t id = hash_name("NtXent");
  double temperature;
};

namespace operands {

struct NtXent {
  enum : size_t { z0, z1, all0, all1, first };
  enum : size_t { loss, lse };
};

struct NtXentGradient {
  enum : size_t { dloss, z0, z1, all0, all1, first, lse };
  enum : size_t { dz0, dz1, dall0, dall1 };
};

}  // namespace operands

}  // namespace lacuna
