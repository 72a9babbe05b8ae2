// Positions that count: in place only what does not count is written; else floor = 2 N C elements /
// bandwidth. A thread has one feature of one position, side by side with those of the next.
#include "kernels/masks.h"

#include <array>

#include "kernels/cuda/support/launch.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename T>
__global__ void __launch_bounds__(block_size)
    keep_kernel(const T* x, const T* mask, T* y, int64_t count, int64_t channels) {
  for (GridCursor at(channels); at.element < count; at.next()) {
    if (to_float(mask[at.row]) == 0) {
      y[at.element] = from_float<T>(0);
    } else if (y != x) {
      y[at.element] = x[at.element];
    }
  }
}

void keep(const Call& call) {
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "keep", count, keep_kernel<T>, input<T>(call, 0), input<T>(call, 1),
           output<T>(call), count, call.in[0].shape[-1]);
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"keep", {f32, bf16, f16}, keep},
};

}  // namespace

std::span<const KernelEntry> masks_kernels() { return table; }

}  // namespace lacuna::cuda
