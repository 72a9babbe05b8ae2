// Softmax and its logarithm, row by row: x is read and y written once, by way of a row of f32 that
// stays in the nearest cache. One exponential an element: on one thread bound by arithmetic, on
// many by memory. Sums in double.
#include "kernels/softmax.h"

#include <array>
#include <cmath>
#include <vector>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

#ifndef LACUNA_KERNELS_CPU_SOFTMAX_ONCE
#define LACUNA_KERNELS_CPU_SOFTMAX_ONCE
namespace lacuna::cpu {

// What the rows of a call have in common; `logarithm`: of log_softmax and its gradient.
struct SoftmaxRows {
  int64_t size;
  float inverse;  // 1 / temperature
  bool logarithm;
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// Sum of term(vectors of double, place) over n places, term(…) of single ones behind.
template <class Term>
HWY_INLINE double sum_of_terms(int64_t n, const Term& term) {
  const hn::ScalableTag<double> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sum = hn::Add(sum, term(d, i));
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += hn::GetLane(term(hn::CappedTag<double, 1>(), i));
  return total;
}

template <typename T>
HWY_INLINE void softmax_row(const SoftmaxRows& s, const T* x, T* y, float* row) {
  for_lanes(0, s.size, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(load(d, x + i), hn::Set(d, s.inverse)), d, row + i);
  });
  const float most = largest(row, s.size);
  const double sum = sum_exp(row, s.size, 1, most);
  if (s.logarithm) {
    const float lse = static_cast<float>(double{most} + std::log(sum));
    for_lanes(0, s.size, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Sub(hn::LoadU(d, row + i), hn::Set(d, lse)), d, y + i);
    });
    return;
  }
  const float factor = static_cast<float>(1 / sum);
  for_lanes(0, s.size, [&](auto d, int64_t i) HWY_ATTR {
    const auto power = exponential(d, hn::Sub(hn::LoadU(d, row + i), hn::Set(d, most)));
    store(hn::Mul(power, hn::Set(d, factor)), d, y + i);
  });
}

void softmax_rows(const Call& call, const SoftmaxRows& s, int64_t begin, int64_t end) {
  std::vector<float> row(static_cast<size_t>(s.size));
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t i = begin; i < end; ++i) {
      softmax_row(s, static_cast<const T*>(call.in[0].data) + i * s.size,
                  static_cast<T*>(call.out[0].data) + i * s.size, row.data());
    }
  });
}

template <typename T>
HWY_INLINE void softmax_gradient_row(const SoftmaxRows& s, const T* dy, const T* y, T* dx) {
  if (s.logarithm) {
    const float sum = static_cast<float>(
        sum_of_terms(s.size, [&](auto d, int64_t i) HWY_ATTR { return load_double(d, dy + i); }));
    for_lanes(0, s.size, [&](auto d, int64_t i) HWY_ATTR {
      const auto p = exponential(d, load(d, y + i));
      const auto g = hn::NegMulAdd(p, hn::Set(d, sum), load(d, dy + i));
      store(hn::Mul(g, hn::Set(d, s.inverse)), d, dx + i);
    });
    return;
  }
  const float along = static_cast<float>(sum_of_terms(s.size, [&](auto d, int64_t i) HWY_ATTR {
    return hn::Mul(load_double(d, dy + i), load_double(d, y + i));
  }));
  for_lanes(0, s.size, [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::Mul(load(d, y + i), hn::Sub(load(d, dy + i), hn::Set(d, along)));
    store(hn::Mul(g, hn::Set(d, s.inverse)), d, dx + i);
  });
}

void softmax_gradient_rows(const Call& call, const SoftmaxRows& s, int64_t begin, int64_t end) {
  using Operand = operands::SoftmaxGradient;
  with_type(call.in[Operand::dy].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t at = begin * s.size; at < end * s.size; at += s.size) {
      softmax_gradient_row(s, static_cast<const T*>(call.in[Operand::dy].data) + at,
                           static_cast<const T*>(call.in[Operand::y].data) + at,
                           static_cast<T*>(call.out[0].data) + at);
    }
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(softmax_rows);
HWY_EXPORT(softmax_gradient_rows);

namespace {

using Range = void (*)(const Call&, const SoftmaxRows&, int64_t, int64_t);

void for_rows(const Call& call, size_t temperature, bool logarithm, Range range) {
  const double t = call.in.size() > temperature ? *call.in[temperature].as<double>() : 1;
  const SoftmaxRows s = {call.out[0].shape[-1], static_cast<float>(1 / t), logarithm};
  for_ranges(threads_of(call), call.out[0].count() / s.size, grain_of(16 * s.size),
             [&](int64_t begin, int64_t end) { range(call, s, begin, end); });
}

void softmax(const Call& call) {
  for_rows(call, operands::Softmax::temperature, false, HWY_DYNAMIC_DISPATCH(softmax_rows));
}
void log_softmax(const Call& call) {
  for_rows(call, operands::Softmax::temperature, true, HWY_DYNAMIC_DISPATCH(softmax_rows));
}
void softmax_gradient(const Call& call) {
  for_rows(call, operands::SoftmaxGradient::temperature, false,
           HWY_DYNAMIC_DISPATCH(softmax_gradient_rows));
}
void log_softmax_gradient(const Call& call) {
  for_rows(call, operands::SoftmaxGradient::temperature, true,
           HWY_DYNAMIC_DISPATCH(softmax_gradient_rows));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax", {f32, bf16}, softmax},
    KernelEntry{"softmax_gradient", {f32, bf16}, softmax_gradient},
    KernelEntry{"log_softmax", {f32, bf16}, log_softmax},
    KernelEntry{"log_softmax_gradient", {f32, bf16}, log_softmax_gradient},
};

}  // namespace

std::span<const KernelEntry> softmax_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
