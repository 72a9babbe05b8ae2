// Masked means: bound by memory, each element of x read, or of dx written, once. A sample's sums
// lie in double, in the nearest cache.
#include "kernels/masked_mean.h"

#include <array>
#include <vector>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/masked_mean.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// 1 / the sum of a sample's mask, or 0.
template <typename T>
HWY_INLINE double inverse_count(const T* mask, int64_t length) {
  double count = 0;
  for (int64_t l = 0; l < length; ++l) count += static_cast<double>(static_cast<float>(mask[l]));
  return count == 0 ? 0 : 1 / count;
}

void masked_mean_samples(const Call& call, int64_t begin, int64_t end) {
  const int64_t length = call.in[0].shape[1];
  const int64_t features = call.in[0].shape[2];
  std::vector<double> sums(static_cast<size_t>(features));
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* mask = static_cast<const T*>(call.in[1].data) + b * length;
      sums.assign(sums.size(), 0.0);
      for (int64_t l = 0; l < length; ++l) {
        const float weight = static_cast<float>(mask[l]);
        if (weight == 0) continue;
        const T* token = static_cast<const T*>(call.in[0].data) + (b * length + l) * features;
        for_double_lanes(0, features, [&](auto d, int64_t i) HWY_ATTR {
          const auto sum = hn::MulAdd(hn::Set(d, double{weight}), load_double(d, token + i),
                                      hn::LoadU(d, sums.data() + i));
          hn::StoreU(sum, d, sums.data() + i);
        });
      }
      const double inverse = inverse_count(mask, length);
      T* y = static_cast<T*>(call.out[0].data) + b * features;
      for (int64_t i = 0; i < features; ++i)
        y[i] = T(static_cast<float>(sums[static_cast<size_t>(i)] * inverse));
    }
  });
}

void masked_mean_gradient_samples(const Call& call, int64_t begin, int64_t end) {
  const int64_t length = call.out[0].shape[1];
  const int64_t features = call.out[0].shape[2];
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* mask = static_cast<const T*>(call.in[1].data) + b * length;
      const T* dy = static_cast<const T*>(call.in[0].data) + b * features;
      const double inverse = inverse_count(mask, length);
      for (int64_t l = 0; l < length; ++l) {
        const auto share = static_cast<float>(inverse * double{static_cast<float>(mask[l])});
        T* dx = static_cast<T*>(call.out[0].data) + (b * length + l) * features;
        for_lanes(0, features, [&](auto d, int64_t i) HWY_ATTR {
          store(hn::Mul(load(d, dy + i), hn::Set(d, share)), d, dx + i);
        });
      }
    }
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(masked_mean_samples);
HWY_EXPORT(masked_mean_gradient_samples);

namespace {

void for_samples(const Call& call, const View& tokens,
                 void (*range)(const Call&, int64_t, int64_t)) {
  const int64_t bytes = tokens.shape.from(1).count() * static_cast<int64_t>(size_of(tokens.dtype));
  for_ranges(threads_of(call), tokens.shape[0], grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void masked_mean(const Call& call) {
  for_samples(call, call.in[0], HWY_DYNAMIC_DISPATCH(masked_mean_samples));
}
void masked_mean_gradient(const Call& call) {
  for_samples(call, call.out[0], HWY_DYNAMIC_DISPATCH(masked_mean_gradient_samples));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"masked_mean", {f32, bf16}, masked_mean},
    KernelEntry{"masked_mean_gradient", {f32, bf16}, masked_mean_gradient},
};

}  // namespace

std::span<const KernelEntry> masked_mean_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
