// Masked means: floor = B L D elements / bandwidth, read or written. A thread has one feature of
// one sample and goes along its tokens, side by side with those of the next features; the mask
// comes from the cache.
#include "kernels/masked_mean.h"

#include <array>

#include "kernels/cuda/support/launch.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// 1 / the sum of each sample's mask, or 0.
template <typename T>
__global__ void __launch_bounds__(block_size)
    inverse_counts_kernel(const T* mask, float* inverses, int64_t samples, int64_t length) {
  for (int64_t b = first_of_grid(); b < samples; b += threads_of_grid()) {
    double count = 0;
    for (int64_t l = 0; l < length; ++l)
      count += static_cast<double>(to_float(mask[b * length + l]));
    inverses[b] = count == 0 ? 0.f : static_cast<float>(1 / count);
  }
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    masked_mean_kernel(const T* x, const T* mask, const float* inverses, T* y, int64_t count,
                       int64_t length, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    double sum = 0;
    for (int64_t l = 0; l < length; ++l) {
      const int64_t token = at.row * length + l;
      const float weight = to_float(mask[token]);
      if (weight == 0) continue;
      sum = fma(static_cast<double>(weight),
                static_cast<double>(to_float(x[token * features + at.column])), sum);
    }
    y[at.element] = from_float<T>(static_cast<float>(sum * static_cast<double>(inverses[at.row])));
  }
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    masked_mean_gradient_kernel(const T* dy, const T* mask, const float* inverses, T* dx,
                                int64_t count, int64_t length, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t sample = at.row / length;
    const float share = to_float(mask[at.row]) * inverses[sample];
    dx[at.element] = from_float<T>(share * to_float(dy[sample * features + at.column]));
  }
}

template <typename T>
const float* inverse_counts(const Call& call, const char* operation) {
  const Shape& mask = call.in[1].shape;
  auto* inverses = static_cast<float*>(
      call.context.scratch(static_cast<size_t>(std::max<int64_t>(mask[0], 1)) * sizeof(float)));
  launch(call, operation, mask[0], inverse_counts_kernel<T>, input<T>(call, 1), inverses, mask[0],
         mask[1]);
  return inverses;
}

void masked_mean(const Call& call) {
  const Shape& x = call.in[0].shape;
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "masked_mean", count, masked_mean_kernel<T>, input<T>(call, 0), input<T>(call, 1),
           inverse_counts<T>(call, "masked_mean"), output<T>(call), count, x[1], x[2]);
  });
}

void masked_mean_gradient(const Call& call) {
  const Shape& x = call.out[0].shape;
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "masked_mean_gradient", count, masked_mean_gradient_kernel<T>, input<T>(call, 0),
           input<T>(call, 1), inverse_counts<T>(call, "masked_mean_gradient"), output<T>(call),
           count, x[1], x[2]);
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"masked_mean", {f32, bf16, f16}, masked_mean},
    KernelEntry{"masked_mean_gradient", {f32, bf16, f16}, masked_mean_gradient},
};

}  // namespace

std::span<const KernelEntry> masked_mean_kernels() { return table; }

}  // namespace lacuna::cuda
