// Element-wise kernels: bound by memory, each element read once per operand and written once.
#include "kernels/elementwise.h"

#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

template <typename T>
const T* input(const Call& call, size_t i) {
  return static_cast<const T*>(call.in[i].data);
}

template <typename T>
T* output(const Call& call) {
  return static_cast<T*>(call.out[0].data);
}

// Two terms are what residuals and forks have; sums of more stay in registers.
void accumulate_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* y = output<T>(call);
    const T* a = input<T>(call, 0);
    const size_t terms = call.in.size();
    if (terms == 2) {
      const T* b = input<T>(call, 1);
      for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Add(load(d, a + i), load(d, b + i)), d, y + i);
      });
      return;
    }
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      auto sum = load(d, a + i);
      for (size_t t = 1; t < terms; ++t) sum = hn::Add(sum, load(d, input<T>(call, t) + i));
      store(sum, d, y + i);
    });
  });
}

void scale_range(const Call& call, int64_t begin, int64_t end) {
  const float factor = static_cast<float>(call.attributes.as<Scale>().factor);
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* y = output<T>(call);
    const T* x = input<T>(call, 0);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(load(d, x + i), hn::Set(d, factor)), d, y + i);
    });
  });
}

void multiply_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* y = output<T>(call);
    const T* a = input<T>(call, 0);
    const T* b = input<T>(call, 1);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(load(d, a + i), load(d, b + i)), d, y + i);
    });
  });
}

// Of masked inputs, which have few channels: a row at a time.
void hide_range(const Call& call, int64_t begin, int64_t end) {
  const int64_t channels = call.in[0].shape[-1];
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* y = output<T>(call);
    const T* x = input<T>(call, 0);
    const T* mask = input<T>(call, 1);
    for (int64_t row = begin; row < end; ++row) {
      const float shown = 1 - static_cast<float>(mask[row]);
      for (int64_t i = row * channels; i < (row + 1) * channels; ++i) {
        y[i] = T(static_cast<float>(x[i]) * shown);
      }
    }
  });
}

void relu_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* y = output<T>(call);
    const T* x = input<T>(call, 0);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(positive_part(d, load(d, x + i)), d, y + i);
    });
  });
}

void relu_gradient_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    T* dx = output<T>(call);
    const T* dy = input<T>(call, 0);
    const T* y = input<T>(call, 1);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::IfThenElseZero(hn::Gt(load(d, y + i), hn::Zero(d)), load(d, dy + i)), d, dx + i);
    });
  });
}

// A sample of x at a time.
void add_to_each_range(const Call& call, int64_t begin, int64_t end) {
  const int64_t size = call.in[1].count();
  const float* p = call.in[1].as<float>();
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t sample = begin; sample < end; ++sample) {
      const T* x = input<T>(call, 0) + sample * size;
      T* y = output<T>(call) + sample * size;
      for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Add(load(d, x + i), hn::LoadU(d, p + i)), d, y + i);
      });
    }
  });
}

// Between float and bfloat16.
void convert_range(const View& from, const View& to, int64_t begin, int64_t end) {
  with_type(from.dtype, [&](auto from_type) HWY_ATTR {
    with_type(to.dtype, [&](auto to_type) HWY_ATTR {
      const auto* x = static_cast<const decltype(from_type)*>(from.data);
      auto* y = static_cast<decltype(to_type)*>(to.data);
      for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR { store(load(d, x + i), d, y + i); });
    });
  });
}

// Sum of squares; four chains hide the latency of the addition.
void sum_squares(const View& view, int64_t begin, int64_t end, double* result) {
  with_type(view.dtype, [&](auto type) HWY_ATTR {
    const auto* x = static_cast<const decltype(type)*>(view.data);
    const hn::ScalableTag<double> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    hn::Vec<decltype(d)> sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    int64_t i = begin;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      for (int64_t chain = 0; chain < 4; ++chain) {
        const auto v = load_double(d, x + i + chain * lanes);
        sums[chain] = hn::MulAdd(v, v, sums[chain]);
      }
    }
    const auto all = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
    double sum = hn::GetLane(hn::SumOfLanes(d, all));
    for (; i < end; ++i) {
      const double v = static_cast<double>(static_cast<float>(x[i]));
      sum += v * v;
    }
    *result += sum;
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(accumulate_range);
HWY_EXPORT(scale_range);
HWY_EXPORT(multiply_range);
HWY_EXPORT(hide_range);
HWY_EXPORT(relu_range);
HWY_EXPORT(relu_gradient_range);
HWY_EXPORT(add_to_each_range);
HWY_EXPORT(convert_range);
HWY_EXPORT(sum_squares);

namespace {

void for_elements(const Call& call, void (*range)(const Call&, int64_t, int64_t)) {
  const int64_t operands = static_cast<int64_t>(call.in.size()) + 1;
  const int64_t bytes = operands * static_cast<int64_t>(size_of(call.out[0].dtype));
  for_ranges(threads_of(call), call.out[0].count(), grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

template <typename T>
void read(const void* from, int64_t begin, int64_t count, double* to) {
  const T* x = static_cast<const T*>(from) + begin;
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      to[i] = static_cast<double>(static_cast<float>(x[i]));
    } else {
      to[i] = static_cast<double>(x[i]);
    }
  }
}

template <typename T>
void write(const double* from, int64_t begin, int64_t count, void* to) {
  T* y = static_cast<T*>(to) + begin;
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      y[i] = BFloat16(static_cast<float>(from[i]));
    } else if constexpr (std::is_integral_v<T>) {
      y[i] = static_cast<T>(std::nearbyint(from[i]));
    } else {
      y[i] = static_cast<T>(from[i]);
    }
  }
}

using Read = void (*)(const void*, int64_t, int64_t, double*);
using Write = void (*)(const double*, int64_t, int64_t, void*);

struct Converter {
  Read read;
  Write write;
};

template <typename T>
constexpr Converter converter{read<T>, write<T>};

Converter converter_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return converter<double>;
    case DType::f32:
      return converter<float>;
    case DType::bf16:
      return converter<BFloat16>;
    case DType::i64:
      return converter<int64_t>;
    case DType::i32:
      return converter<int32_t>;
    case DType::u16:
      return converter<uint16_t>;
    case DType::i16:
      return converter<int16_t>;
    case DType::u8:
      return converter<uint8_t>;
    case DType::f16:
      break;
  }
  LACUNA_CHECK(false, "the CPU casts no ", name_of(dtype));
  return {};
}

// Any type to any other, by way of double, in blocks that stay in the nearest cache.
void cast_range(const View& from, const View& to, int64_t begin, int64_t end) {
  constexpr int64_t block = 1024;
  double values[block];
  const Converter in = converter_of(from.dtype);
  const Converter out = converter_of(to.dtype);
  for (; begin < end; begin += block) {
    const int64_t count = std::min(block, end - begin);
    in.read(from.data, begin, count, values);
    out.write(values, begin, count, to.data);
  }
}

bool is_vectorised(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

void accumulate(const Call& call) { for_elements(call, HWY_DYNAMIC_DISPATCH(accumulate_range)); }
void scale(const Call& call) {
  if (call.in[0].dtype != DType::f64) {
    for_elements(call, HWY_DYNAMIC_DISPATCH(scale_range));
    return;
  }
  const double factor = call.attributes.as<Scale>().factor;  // of a figure to watch
  const auto* x = static_cast<const double*>(call.in[0].data);
  auto* y = static_cast<double*>(call.out[0].data);
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = factor * x[i];
}
void multiply(const Call& call) { for_elements(call, HWY_DYNAMIC_DISPATCH(multiply_range)); }
void hide(const Call& call) {
  const auto range = HWY_DYNAMIC_DISPATCH(hide_range);
  const int64_t channels = call.in[0].shape[-1];
  for_ranges(threads_of(call), call.in[1].count(), grain_of(16 * channels),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}
void relu(const Call& call) { for_elements(call, HWY_DYNAMIC_DISPATCH(relu_range)); }
void relu_gradient(const Call& call) {
  for_elements(call, HWY_DYNAMIC_DISPATCH(relu_gradient_range));
}
void add_to_each(const Call& call) {
  const auto range = HWY_DYNAMIC_DISPATCH(add_to_each_range);
  const int64_t bytes = 2 * call.in[1].count() * static_cast<int64_t>(size_of(call.in[0].dtype));
  for_ranges(threads_of(call), call.in[0].shape[0], grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void cast(const Call& call) {
  const View& from = call.in[0];
  const View& to = call.out[0];
  const int64_t bytes = static_cast<int64_t>(size_of(from.dtype) + size_of(to.dtype));
  const auto vectorised = HWY_DYNAMIC_DISPATCH(convert_range);
  for_ranges(threads_of(call), to.count(), grain_of(bytes), [&](int64_t begin, int64_t end) {
    if (from.dtype == to.dtype) {
      const size_t size = size_of(to.dtype);
      std::memmove(static_cast<char*>(to.data) + static_cast<size_t>(begin) * size,
                   static_cast<const char*>(from.data) + static_cast<size_t>(begin) * size,
                   static_cast<size_t>(end - begin) * size);
    } else if (is_vectorised(from.dtype) && is_vectorised(to.dtype)) {
      vectorised(from, to, begin, end);
    } else {
      cast_range(from, to, begin, end);
    }
  });
}

void squared_norm(const Call& call) {
  const std::vector<int64_t> counts = counts_of(call.in);
  const int64_t bytes = static_cast<int64_t>(size_of(call.in[0].dtype));
  const int parts = parts_of(threads_of(call), total_of(counts), grain_of(bytes));
  const auto add = HWY_DYNAMIC_DISPATCH(sum_squares);
  std::vector<double> sums(static_cast<size_t>(parts) * 8);  // 64 bytes each: no shared lines
  for_parts(parts, [&](int part) {
    double* sum = &sums[static_cast<size_t>(part) * 8];
    for_stretches(counts, part, parts, [&](size_t tensor, int64_t begin, int64_t end) {
      add(call.in[tensor], begin, end, sum);
    });
  });
  double total = 0;
  for (int part = 0; part < parts; ++part) total += sums[static_cast<size_t>(part) * 8];
  *call.out[0].as<double>() = total;
}

template <typename T>
int64_t count_correct_rows(const Call& call) {
  const T* logits = call.in[0].as<T>();
  const int64_t* labels = call.in[1].as<int64_t>();
  const int64_t classes = call.in[0].shape[-1];
  int64_t correct = 0;
  for (int64_t row = 0; row < call.in[1].count(); ++row) {
    const T* l = logits + row * classes;
    int64_t best = 0;
    for (int64_t k = 1; k < classes; ++k) {
      if (static_cast<float>(l[k]) > static_cast<float>(l[best])) best = k;
    }
    correct += best == labels[row];
  }
  return correct;
}

void count_correct(const Call& call) {
  const bool bf16 = call.in[0].dtype == DType::bf16;
  const int64_t correct =
      bf16 ? count_correct_rows<BFloat16>(call) : count_correct_rows<float>(call);
  *call.out[0].as<double>() = static_cast<double>(correct);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"accumulate", {f32, bf16}, accumulate},
    KernelEntry{"cast", {f64, f32, bf16, i64, i32, u16, i16, u8}, cast},
    KernelEntry{"scale", {f64, f32, bf16}, scale},
    KernelEntry{"multiply", {f32, bf16}, multiply},
    KernelEntry{"hide", {f32, bf16}, hide},
    KernelEntry{"relu", {f32, bf16}, relu},
    KernelEntry{"relu_gradient", {f32, bf16}, relu_gradient},
    KernelEntry{"add_to_each", {f32, bf16}, add_to_each},
    KernelEntry{"squared_norm", {f32, bf16}, squared_norm},
    KernelEntry{"count_correct", {f32, bf16}, count_correct},
};

}  // namespace

std::span<const KernelEntry> elementwise_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
