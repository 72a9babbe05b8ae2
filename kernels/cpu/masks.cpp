// Positions that count: bound by memory. In place only what does not count is written; else each
// element is read and written once.
#include "kernels/masks.h"

#include <array>
#include <cstring>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

// Whether a position counts; the mask may be the memory of y, whose positions before have been
// written.
template <typename T>
void keep_positions(const Call& call, int64_t begin, int64_t end) {
  const int64_t channels = call.in[0].shape[-1];
  const size_t bytes = static_cast<size_t>(channels) * sizeof(T);
  const T* mask = call.in[1].as<T>();
  for (int64_t position = begin; position < end; ++position) {
    const T* x = call.in[0].as<T>() + position * channels;
    T* y = call.out[0].as<T>() + position * channels;
    if (static_cast<float>(mask[position]) == 0) {
      std::memset(static_cast<void*>(y), 0, bytes);
    } else if (y != x) {
      std::memcpy(static_cast<void*>(y), x, bytes);
    }
  }
}

void keep(const Call& call) {
  const View& x = call.in[0];
  const int64_t bytes = 2 * x.shape[-1] * static_cast<int64_t>(size_of(x.dtype));
  const auto range = x.dtype == DType::bf16 ? keep_positions<BFloat16> : keep_positions<float>;
  for_ranges(threads_of(call), call.in[1].count(), grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"keep", {f32, bf16}, keep},
};

}  // namespace

std::span<const KernelEntry> masks_kernels() { return table; }

}  // namespace lacuna::cpu
