#include "comm/rank_order_sum.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace lacuna {
namespace {

template <typename T>
void add(T* sum, const T* term, size_t count) {
#pragma omp simd
  for (size_t i = 0; i < count; ++i) sum[i] += term[i];
}

template <typename T>
void sum_blocks(T* out, const std::byte* parts, size_t stride, int ranks, size_t count) {
  constexpr size_t block = 4096 / sizeof(T);  // the running sum stays in the first-level cache
  for (size_t first = 0; first < count; first += block) {
    const size_t n = std::min(block, count - first);
    const auto part = [&](int r) {
      return reinterpret_cast<const T*>(parts + static_cast<size_t>(r) * stride) + first;
    };
    if (part(0) != out + first) std::memcpy(out + first, part(0), n * sizeof(T));
    for (int r = 1; r < ranks; ++r) add(out + first, part(r), n);
  }
}

}  // namespace

void rank_order_sum(void* out, const void* parts, size_t stride, int ranks, size_t count,
                    DType dtype) {
  const auto* bytes = static_cast<const std::byte*>(parts);
  switch (dtype) {
    case DType::f64:
      return sum_blocks(static_cast<double*>(out), bytes, stride, ranks, count);
    case DType::f32:
      return sum_blocks(static_cast<float*>(out), bytes, stride, ranks, count);
    case DType::i64:  // unsigned: an overflow wraps instead of being undefined
      return sum_blocks(static_cast<uint64_t*>(out), bytes, stride, ranks, count);
    default:
      LACUNA_CHECK(false, "sums over ranks of ", name_of(dtype));
  }
}

}  // namespace lacuna
