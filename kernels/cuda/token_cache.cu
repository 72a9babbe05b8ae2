// Attention over tokens that were kept: both kernels touch the new tokens alone, whatever the cache
// holds. A thread has one element.
#include "kernels/token_cache.h"

#include <array>

#include "kernels/cuda/support/launch.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename T>
struct Parts {
  const T *y0, *y1;
  const float *lse0, *lse1;
};

template <typename T>
__global__ void __launch_bounds__(block_size)
    merge_kernel(Parts<T> parts, T* y, int64_t count, int64_t tokens, int64_t heads, int64_t size) {
  for (GridCursor at(size); at.element < count; at.next()) {
    const int64_t token = at.row / heads;
    const int64_t row = (token / tokens * heads + at.row % heads) * tokens + token % tokens;
    const float lse0 = parts.lse0[row];
    const float lse1 = parts.lse1[row];
    const float most = fmaxf(lse0, lse1);
    const bool sees_none = most == -INFINITY;
    const float weight0 = sees_none ? 0.f : expf(lse0 - most);
    const float weight1 = sees_none ? 0.f : expf(lse1 - most);
    const float sum = sees_none ? 1.f : weight0 + weight1;
    y[at.element] = from_float<T>(
        (weight0 * to_float(parts.y0[at.element]) + weight1 * to_float(parts.y1[at.element])) /
        sum);
  }
}

void merge_attention(const Call& call) {
  using Operand = operands::MergeAttention;
  const Shape& shape = call.out[Operand::y].shape;
  const int64_t heads = call.attributes.as<MergeAttention>().heads;
  with_float(call.out[Operand::y].dtype, [&](auto type) {
    using T = decltype(type);
    const Parts<T> parts{input<T>(call, Operand::y0), input<T>(call, Operand::y1),
                         input<float>(call, Operand::lse0), input<float>(call, Operand::lse1)};
    launch(call, "merge_attention", shape.count(), merge_kernel<T>, parts, output<T>(call),
           shape.count(), shape[1], heads, shape[2] / heads);
  });
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    write_kernel(const T* x, const int64_t* places, T* cache, int64_t count, int64_t tokens,
                 int64_t capacity, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t sample = at.row / tokens;
    const int64_t place = places[sample] + at.row % tokens;
    if (place >= 0 && place < capacity)
      cache[(sample * capacity + place) * features + at.column] = x[at.element];
  }
}

void write_tokens(const Call& call) {
  using Operand = operands::WriteTokens;
  const Shape& x = call.in[Operand::x].shape;
  with_float(call.in[Operand::x].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "write_tokens", x.count(), write_kernel<T>, input<T>(call, Operand::x),
           input<int64_t>(call, Operand::places), output<T>(call), x.count(), x[1],
           call.out[Operand::cache].shape[1], x[2]);
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_attention", {f32, bf16, f16}, merge_attention},
    KernelEntry{"write_tokens", {f32, bf16, f16}, write_tokens},
};

}  // namespace

std::span<const KernelEntry> token_cache_kernels() { return table; }

}  // namespace lacuna::cuda
