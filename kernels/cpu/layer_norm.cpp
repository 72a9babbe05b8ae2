// Layer normalisation: bound by memory. Forward reads x and writes y, n bytes each; a row stays in
// the nearest cache from its sums to its result. Backward reads dy and x and writes dx; the sums of
// the parameters' gradients, 16 D bytes, stay in the nearest cache too. All sums are in double.
#include "kernels/layer_norm.h"

#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// sum term(d, i) over [0, n), in vectors of doubles; two chains hide the latency of the addition.
template <class Term>
HWY_INLINE double sum_of(int64_t n, const Term& term) {
  const hn::ScalableTag<double> d;
  const hn::CappedTag<double, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::Add(even, term(d, i));
    odd = hn::Add(odd, term(d, i + lanes));
  }
  for (; i + lanes <= n; i += lanes) even = hn::Add(even, term(d, i));
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) sum += hn::GetLane(term(one, i));
  return sum;
}

void layer_norm_rows(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::LayerNorm;
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  const int64_t features = call.in[Operand::x].shape[-1];
  const auto count = static_cast<double>(features);
  const float* gamma = call.in[Operand::gamma].as<float>();
  const float* beta = call.in[Operand::beta].as<float>();
  with_type(call.in[Operand::x].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t row = begin; row < end; ++row) {
      const T* x = static_cast<const T*>(call.in[Operand::x].data) + row * features;
      T* y = static_cast<T*>(call.out[Operand::y].data) + row * features;
      const double mean =
          sum_of(features, [&](auto d, int64_t i) HWY_ATTR { return load_double(d, x + i); }) /
          count;
      const double variance = sum_of(features,
                                     [&](auto d, int64_t i) HWY_ATTR {
                                       const auto v =
                                           hn::Sub(load_double(d, x + i), hn::Set(d, mean));
                                       return hn::Mul(v, v);
                                     }) /
                              count;
      const float centre = static_cast<float>(mean);
      const float rstd = static_cast<float>(1 / std::sqrt(variance + epsilon));
      call.out[Operand::mean].as<float>()[row] = centre;
      call.out[Operand::rstd].as<float>()[row] = rstd;
      for_lanes(0, features, [&](auto d, int64_t i) HWY_ATTR {
        const auto xhat = hn::Mul(hn::Sub(load(d, x + i), hn::Set(d, centre)), hn::Set(d, rstd));
        store(hn::MulAdd(xhat, hn::LoadU(d, gamma + i), hn::LoadU(d, beta + i)), d, y + i);
      });
    }
  });
}

// sums [2D], zeroed: of dy xhat, then of dy.
void layer_norm_gradient_rows(const Call& call, int64_t begin, int64_t end, double* sums) {
  using Operand = operands::LayerNormGradient;
  const int64_t features = call.in[Operand::dy].shape[-1];
  const float* gamma = call.in[Operand::gamma].as<float>();
  with_type(call.in[Operand::dy].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t row = begin; row < end; ++row) {
      const T* dy = static_cast<const T*>(call.in[Operand::dy].data) + row * features;
      const T* x = static_cast<const T*>(call.in[Operand::x].data) + row * features;
      T* dx = static_cast<T*>(call.out[Operand::dx].data) + row * features;
      const float mean = call.in[Operand::mean].as<float>()[row];
      const float rstd = call.in[Operand::rstd].as<float>()[row];
      const auto xhat_of = [&](auto d, int64_t i) HWY_ATTR {
        return hn::Mul(hn::Sub(load_double(d, x + i), hn::Set(d, double{mean})),
                       hn::Set(d, double{rstd}));
      };
      const double sum_g = sum_of(features, [&](auto d, int64_t i) HWY_ATTR {
        const auto v = load_double(d, dy + i);
        const auto product = hn::Mul(v, xhat_of(d, i));
        hn::StoreU(hn::Add(hn::LoadU(d, sums + i), product), d, sums + i);
        hn::StoreU(hn::Add(hn::LoadU(d, sums + features + i), v), d, sums + features + i);
        return hn::Mul(v, load_double(d, gamma + i));
      });
      const double sum_g_xhat = sum_of(features, [&](auto d, int64_t i) HWY_ATTR {
        return hn::Mul(hn::Mul(load_double(d, dy + i), load_double(d, gamma + i)), xhat_of(d, i));
      });
      const auto mean_g = static_cast<float>(sum_g / static_cast<double>(features));
      const auto mean_g_xhat = static_cast<float>(sum_g_xhat / static_cast<double>(features));
      for_lanes(0, features, [&](auto d, int64_t i) HWY_ATTR {
        const auto xhat = hn::Mul(hn::Sub(load(d, x + i), hn::Set(d, mean)), hn::Set(d, rstd));
        const auto g = hn::MulSub(load(d, dy + i), hn::LoadU(d, gamma + i), hn::Set(d, mean_g));
        store(hn::Mul(hn::NegMulAdd(xhat, hn::Set(d, mean_g_xhat), g), hn::Set(d, rstd)), d,
              dx + i);
      });
    }
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(layer_norm_gradient_rows);

namespace {

// The number of rows that are worth a part of their own.
int64_t rows_grain(const View& x) {
  return grain_of(3 * x.shape[-1] * static_cast<int64_t>(size_of(x.dtype)));
}

void layer_norm(const Call& call) {
  using Operand = operands::LayerNorm;
  const auto range = HWY_DYNAMIC_DISPATCH(layer_norm_rows);
  for_ranges(threads_of(call), call.out[Operand::mean].count(), rows_grain(call.in[Operand::x]),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void layer_norm_gradient(const Call& call) {
  using Operand = operands::LayerNormGradient;
  const int64_t features = call.in[Operand::dy].shape[-1];
  const int64_t rows = call.in[Operand::mean].count();
  const int parts = parts_of(threads_of(call), rows, rows_grain(call.in[Operand::dy]));
  auto* sums = static_cast<double*>(
      call.context.scratch(static_cast<size_t>(parts * 2 * features) * sizeof(double)));
  std::fill_n(sums, parts * 2 * features, 0.0);
  const auto range = HWY_DYNAMIC_DISPATCH(layer_norm_gradient_rows);
  for_parts(parts, [&](int part) {
    range(call, part_begin(rows, part, parts), part_begin(rows, part + 1, parts),
          sums + part * 2 * features);
  });
  for (int64_t i = 0; i < features; ++i) {
    double dgamma = 0;
    double dbeta = 0;
    for (int part = 0; part < parts; ++part) {
      dgamma += sums[part * 2 * features + i];
      dbeta += sums[(part * 2 + 1) * features + i];
    }
    call.out[Operand::dgamma].as<float>()[i] = static_cast<float>(dgamma);
    call.out[Operand::dbeta].as<float>()[i] = static_cast<float>(dbeta);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"layer_norm", {f32, bf16}, layer_norm},
    KernelEntry{"layer_norm_gradient", {f32, bf16}, layer_norm_gradient},
};

}  // namespace

std::span<const KernelEntry> layer_norm_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
