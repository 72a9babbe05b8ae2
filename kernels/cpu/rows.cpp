// Kernels on rows: bound by memory. normalize_rows reads x once (a row stays in the nearest cache
// between its norm and its scaling) and writes y; its gradient reads dy and y and writes dx.
#include "kernels/rows.h"

#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// sum a b, in double
template <typename T>
double dot(const T* a, const T* b, int64_t n) {
  const hn::ScalableTag<double> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    sum = hn::MulAdd(load_double(d, a + i), load_double(d, b + i), sum);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) {
    total += static_cast<double>(static_cast<float>(a[i])) *
             static_cast<double>(static_cast<float>(b[i]));
  }
  return total;
}

void normalize_range(const Call& call, int64_t begin, int64_t end) {
  const double epsilon = call.attributes.as<NormalizeRows>().epsilon;
  const int64_t size = call.in[0].shape[-1];
  float* norms = call.out[1].as<float>();
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t row = begin; row < end; ++row) {
      const T* x = static_cast<const T*>(call.in[0].data) + row * size;
      T* y = static_cast<T*>(call.out[0].data) + row * size;
      double norm = std::sqrt(dot(x, x, size));
      if (norm < epsilon) norm = epsilon;  // a NaN stays
      norms[row] = static_cast<float>(norm);
      const float factor = static_cast<float>(1 / norm);
      for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Mul(load(d, x + i), hn::Set(d, factor)), d, y + i);
      });
    }
  });
}

void normalize_gradient_range(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::NormalizeRowsGradient;
  const float epsilon = static_cast<float>(call.attributes.as<NormalizeRows>().epsilon);
  const int64_t size = call.in[Operand::dy].shape[-1];
  const float* norms = call.in[Operand::norms].as<float>();
  with_type(call.in[Operand::dy].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t row = begin; row < end; ++row) {
      const T* dy = static_cast<const T*>(call.in[Operand::dy].data) + row * size;
      const T* y = static_cast<const T*>(call.in[Operand::y].data) + row * size;
      T* dx = static_cast<T*>(call.out[Operand::dx].data) + row * size;
      const float projection = norms[row] == epsilon ? 0.0f : static_cast<float>(dot(y, dy, size));
      const float factor = 1 / norms[row];
      for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
        const auto g = hn::NegMulAdd(load(d, y + i), hn::Set(d, projection), load(d, dy + i));
        store(hn::Mul(g, hn::Set(d, factor)), d, dx + i);
      });
    }
  });
}

void scale_rows_range(const Call& call, int64_t begin, int64_t end) {
  const int64_t size = call.in[0].shape.from(1).count();
  const float* factors = call.in[1].as<float>();
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t row = begin; row < end; ++row) {
      const T* x = static_cast<const T*>(call.in[0].data) + row * size;
      T* y = static_cast<T*>(call.out[0].data) + row * size;
      for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Mul(load(d, x + i), hn::Set(d, factors[row])), d, y + i);
      });
    }
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(normalize_range);
HWY_EXPORT(normalize_gradient_range);
HWY_EXPORT(scale_rows_range);

namespace {

void for_rows(const Call& call, void (*range)(const Call&, int64_t, int64_t)) {
  const View& x = call.in[0];
  const int64_t size = x.shape[-1];
  const int64_t rows = size == 0 ? 0 : x.count() / size;
  for_ranges(threads_of(call), rows, grain_of(3 * size * static_cast<int64_t>(size_of(x.dtype))),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

size_t bytes_of(const View& view) {
  return static_cast<size_t>(view.count()) * size_of(view.dtype);
}

void copy(const Call& call, void* to, const void* from, size_t bytes) {
  for_ranges(threads_of(call), static_cast<int64_t>(bytes), grain_bytes,
             [&](int64_t begin, int64_t end) {
               std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                           static_cast<size_t>(end - begin));
             });
}

void normalize_rows(const Call& call) { for_rows(call, HWY_DYNAMIC_DISPATCH(normalize_range)); }

void normalize_rows_gradient(const Call& call) {
  for_rows(call, HWY_DYNAMIC_DISPATCH(normalize_gradient_range));
}

void scale_rows(const Call& call) {
  const auto range = HWY_DYNAMIC_DISPATCH(scale_rows_range);
  const View& x = call.in[0];
  const int64_t bytes = 2 * x.shape.from(1).count() * static_cast<int64_t>(size_of(x.dtype));
  for_ranges(threads_of(call), x.shape[0], grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void concatenate(const Call& call) {
  char* to = static_cast<char*>(call.out[0].data);
  for (const View& x : call.in) {
    copy(call, to, x.data, bytes_of(x));
    to += bytes_of(x);
  }
}

void place_rows(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const size_t all = bytes_of(y);
  const size_t row = y.shape[0] == 0 ? 0 : all / static_cast<size_t>(y.shape[0]);
  const size_t before = static_cast<size_t>(call.attributes.as<PlaceRows>().begin) * row;
  const size_t until = before + bytes_of(x);
  char* to = static_cast<char*>(y.data);
  std::memset(to, 0, before);
  copy(call, to + before, x.data, bytes_of(x));
  std::memset(to + until, 0, all - until);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"normalize_rows", {f32, bf16}, normalize_rows},
    KernelEntry{"normalize_rows_gradient", {f32, bf16}, normalize_rows_gradient},
    KernelEntry{"scale_rows", {f32, bf16}, scale_rows},
    KernelEntry{"concatenate", {f64, f32, bf16, i64}, concatenate},
    KernelEntry{"place_rows", {f32, bf16, i64}, place_rows},
};

}  // namespace

std::span<const KernelEntry> rows_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
