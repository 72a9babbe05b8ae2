// What the vectorised kernels share: loads and stores of float and bfloat16 as vectors of float,
// and loops over elements. Included once for each instruction set (see Highway's foreach_target.h),
// so the guard below lets it through again for the next one.
#if defined(LACUNA_KERNELS_CPU_SIMD_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LACUNA_KERNELS_CPU_SIMD_H
#undef LACUNA_KERNELS_CPU_SIMD_H
#else
#define LACUNA_KERNELS_CPU_SIMD_H
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/kernel.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* p) {
  return hn::LoadU(d, p);
}

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const BFloat16* p) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}

template <class D>
HWY_INLINE void store(hn::Vec<D> v, D d, float* p) {
  hn::StoreU(v, d, p);
}

// Rounds to nearest, ties to even; a NaN stays one (rounding could carry it into infinity).
template <class D>
HWY_INLINE void store(hn::Vec<D> v, [[maybe_unused]] D d, BFloat16* p) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<int32_t, D> di;
  const hn::Rebind<uint32_t, D> d32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fffu))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40u));
  const auto is_number = hn::RebindMask(d32, hn::Eq(v, v));
  const auto result = hn::IfThenElse(is_number, rounded, quiet);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, result)), d16, reinterpret_cast<uint16_t*>(p));
}

// Floats as doubles, for sums.
template <class D64, typename T>
HWY_INLINE hn::Vec<D64> load_double(D64 d, const T* p) {
  return hn::PromoteTo(d, load(hn::Rebind<float, D64>(), p));
}

// max(v, 0) that keeps NaN (on x86 the maximum is the second operand where one is NaN).
template <class D>
HWY_INLINE hn::Vec<D> positive_part(D d, hn::Vec<D> v) {
  return hn::Max(hn::Zero(d), v);
}

// body(d, i) over [begin, end): whole vectors of floats, then single elements.
template <class Body>
HWY_INLINE void for_lanes(int64_t begin, int64_t end, const Body& body) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(d, i);
  for (; i < end; ++i) body(hn::CappedTag<float, 1>(), i);
}

// The same in vectors of doubles.
template <class Body>
HWY_INLINE void for_double_lanes(int64_t begin, int64_t end, const Body& body) {
  const hn::ScalableTag<double> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(d, i);
  for (; i < end; ++i) body(hn::CappedTag<double, 1>(), i);
}

// body(T()) with the type of elements that `dtype` names.
template <class Body>
HWY_INLINE void with_type(DType dtype, const Body& body) {
  if (dtype == DType::bf16) {
    body(BFloat16());
  } else {
    LACUNA_CHECK(dtype == DType::f32, name_of(dtype));
    body(float());
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard for each target
