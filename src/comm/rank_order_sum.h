// The one kernel of every reduction: sums of several ranks' arrays, in rank order.
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace lacuna {

// out[i] = (..((a_0[i] + a_1[i]) + a_2[i]).. + a_{ranks-1}[i]), where a_r starts at
// parts + r * stride bytes; f64, f32 or i64 (wrapping), in the element's own type. out may be one
// of the a_r when it is a_0, and overlaps none otherwise. Memory-bound: (ranks + 1) * count
// elements.
void rank_order_sum(void* out, const void* parts, size_t stride, int ranks, size_t count,
                    DType dtype);

}  // namespace lacuna
