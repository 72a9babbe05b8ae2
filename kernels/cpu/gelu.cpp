// GELU: x is read and y written once, some 20 operations and one exponential an element between: on
// one thread bound by arithmetic, on many by memory.
//
// The normal distribution comes from Abramowitz and Stegun 7.1.26: with t = 1 / (1 + p
// |x|/sqrt(2)), Phi(-|x|) = t (a1 + t (a2 + …)) exp(-x^2 / 2) / 2 within 7.5e-8, which shares its
// exponential with the density that the gradient needs.
#include "kernels/elementwise.h"

#include <array>
#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gelu.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// Phi(x), and exp(-x^2 / 2).
template <class D>
struct Normal {
  hn::Vec<D> distribution, bell;
};

template <class D>
HWY_INLINE Normal<D> normal(D d, hn::Vec<D> x) {
  constexpr float p = 0.3275911f * 0.70710678f;
  constexpr float a[] = {1.061405429f / 2, -1.453152027f / 2, 1.421413741f / 2, -0.284496736f / 2,
                         0.254829592f / 2};
  const auto one = hn::Set(d, 1.0f);
  const auto t = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, p), one));
  auto polynomial = hn::Set(d, a[0]);
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, a[1]));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, a[2]));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, a[3]));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, a[4]));
  const auto bell = exponential(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f)));
  const auto tail = hn::Mul(hn::Mul(polynomial, t), bell);
  return {hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail)), bell};
}

void gelu_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* x = static_cast<const T*>(call.in[0].data);
    T* y = static_cast<T*>(call.out[0].data);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = load(d, x + i);
      store(hn::Mul(v, normal(d, v).distribution), d, y + i);
    });
  });
}

void gelu_gradient_range(const Call& call, int64_t begin, int64_t end) {
  constexpr float density_at_0 = 0.39894228f;  // 1 / sqrt(2 pi)
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* dy = static_cast<const T*>(call.in[0].data);
    const T* x = static_cast<const T*>(call.in[1].data);
    T* dx = static_cast<T*>(call.out[0].data);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = load(d, x + i);
      const auto n = normal(d, v);
      const auto slope = hn::MulAdd(hn::Mul(v, hn::Set(d, density_at_0)), n.bell, n.distribution);
      store(hn::Mul(load(d, dy + i), slope), d, dx + i);
    });
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(gelu_range);
HWY_EXPORT(gelu_gradient_range);

namespace {

void gelu(const Call& call) {
  const auto range = HWY_DYNAMIC_DISPATCH(gelu_range);
  for_ranges(threads_of(call), call.out[0].count(), grain_of(16),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void gelu_gradient(const Call& call) {
  const auto range = HWY_DYNAMIC_DISPATCH(gelu_gradient_range);
  for_ranges(threads_of(call), call.out[0].count(), grain_of(16),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"gelu", {f32, bf16}, gelu},
    KernelEntry{"gelu_gradient", {f32, bf16}, gelu_gradient},
};

}  // namespace

std::span<const KernelEntry> gelu_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
