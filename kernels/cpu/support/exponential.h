// Exponentials and their sums, for losses. Included once for each instruction set, as simd.h is.
#if defined(LACUNA_KERNELS_CPU_EXPONENTIAL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LACUNA_KERNELS_CPU_EXPONENTIAL_H
#undef LACUNA_KERNELS_CPU_EXPONENTIAL_H
#else
#define LACUNA_KERNELS_CPU_EXPONENTIAL_H
#endif

#include <hwy/contrib/math/math-inl.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// exp(x), within 1 unit in the last place; 0 where it would be denormal. NaN stays.
template <class D>
HWY_INLINE hn::Vec<D> exponential(D d, hn::Vec<D> x) {
  return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, x), x);
}

// The largest element; -inf of none.
inline float largest(const float* x, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto most = hn::Set(d, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) most = hn::Max(most, hn::LoadU(d, x + i));
  float result = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < n; ++i) result = std::fmax(result, x[i]);
  return result;
}

// sum exp(factor x - shift), in double
inline double sum_exp(const float* x, int64_t n, float factor, float shift) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto power = hn::MulSub(hn::LoadU(df, x + i), hn::Set(df, factor), hn::Set(df, shift));
    sum = hn::Add(sum, hn::PromoteTo(d, exponential(df, power)));
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += std::exp(double{factor} * double{x[i]} - double{shift});
  return total;
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard for each target
