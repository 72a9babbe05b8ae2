// Products with a scalar that is a tensor: bound by memory, each element read and written once.
#include "kernels/scalars.h"

#include <array>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/scalars.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

void scale_by_range(const Call& call, float factor, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* x = static_cast<const T*>(call.in[0].data);
    T* y = static_cast<T*>(call.out[0].data);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(load(d, x + i), hn::Set(d, factor)), d, y + i);
    });
  });
}

// Four chains hide the latency of the addition.
double dot_range(const Call& call, int64_t begin, int64_t end) {
  double sum = 0;
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* a = static_cast<const T*>(call.in[0].data);
    const T* b = static_cast<const T*>(call.in[1].data);
    const hn::ScalableTag<double> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    hn::Vec<decltype(d)> sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    int64_t i = begin;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      for (int64_t chain = 0; chain < 4; ++chain) {
        const int64_t at = i + chain * lanes;
        sums[chain] = hn::MulAdd(load_double(d, a + at), load_double(d, b + at), sums[chain]);
      }
    }
    sum = hn::GetLane(
        hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
    for (; i < end; ++i) {
      sum += static_cast<double>(static_cast<float>(a[i])) *
             static_cast<double>(static_cast<float>(b[i]));
    }
  });
  return sum;
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(scale_by_range);
HWY_EXPORT(dot_range);

namespace {

int64_t element_grain(const Call& call) {
  return grain_of(2 * static_cast<int64_t>(size_of(call.in[0].dtype)));
}

double scalar_of(const View& view) {
  return view.dtype == DType::f64 ? *view.as<double>() : double{*view.as<float>()};
}

void scale_by(const Call& call) {
  const double factor = scalar_of(call.in[1]);
  const int64_t count = call.out[0].count();
  if (call.in[0].dtype == DType::f64) {
    const double* x = call.in[0].as<double>();
    for (int64_t i = 0; i < count; ++i) call.out[0].as<double>()[i] = factor * x[i];
    return;
  }
  const auto range = HWY_DYNAMIC_DISPATCH(scale_by_range);
  for_ranges(threads_of(call), count, element_grain(call), [&](int64_t begin, int64_t end) {
    range(call, static_cast<float>(factor), begin, end);
  });
}

double sum_of_products(const Call& call) {
  const int64_t count = call.in[0].count();
  double sum = 0;
  if (call.in[0].dtype == DType::f64) {
    for (int64_t i = 0; i < count; ++i)
      sum += call.in[0].as<double>()[i] * call.in[1].as<double>()[i];
    return sum;
  }
  const int parts = parts_of(threads_of(call), count, element_grain(call));
  std::vector<double> sums(static_cast<size_t>(parts));
  const auto range = HWY_DYNAMIC_DISPATCH(dot_range);
  for_parts(parts, [&](int part) {
    sums[static_cast<size_t>(part)] =
        range(call, part_begin(count, part, parts), part_begin(count, part + 1, parts));
  });
  for (const double of_part : sums) sum += of_part;
  return sum;
}

void dot(const Call& call) {
  const double sum = sum_of_products(call);
  if (call.out[0].dtype == DType::f64) {
    *call.out[0].as<double>() = sum;
  } else {
    *call.out[0].as<float>() = static_cast<float>(sum);
  }
}

void inverse_count(const Call& call) {
  const double* n = call.in[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i)
    call.out[0].as<double>()[i] = n[i] == 0 ? 0 : 1 / n[i];
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"scale_by", {f64, f32, bf16}, scale_by},
    KernelEntry{"dot", {f64, f32, bf16}, dot},
    KernelEntry{"inverse_count", {f64}, inverse_count},
};

}  // namespace

std::span<const KernelEntry> scalars_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
