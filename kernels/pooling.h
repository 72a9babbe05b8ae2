// Pooling and upsampling of [B, H, W, C]. F: float types.
//
//   max_pool               in   x F [B, H, W, C]                                     (Pooling)
//                          out  y F [B, H', W', C]; padding is -inf
//   max_pool_gradient      in   dy, x, y                                             (Pooling)
//                          out  dx F [B, H, W, C]: to the first largest of each window
//   average_pool           in   x F [B, .., C]
//                          out  y F [B, C], the mean over the middle axes
//   average_pool_gradient  in   dy F [B, C]
//                          out  dx F [B, .., C]
//   upsample               in   x F [B, H, W, C]
//                          out  y F [B, H', W', C], nearest:
//                          y[i, j] = x[floor(i H / H'), floor(j W / W')]
//   upsample_gradient      in   dy F [B, H', W', C]
//                          out  dx F [B, H, W, C]
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct Pooling {
  static constexpr uint64_t id = hash_name("Pooling");
  int64_t kernel[2], stride[2], padding[2];  // of height and width
};

namespace operands {

struct MaxPoolGradient {
  enum : size_t { dy, x, y };
  enum : size_t { dx };
};

}  // namespace operands

}  // namespace lacuna
