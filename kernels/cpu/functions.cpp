// Functions of one number: each operand read once, the result written once, some 20 operations an
// element between; on many threads bound by memory. Numbers of f64 are values and figures of a
// step, a few of them: one by one.
#include "kernels/functions.h"

#include <array>
#include <cmath>
#include <limits>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/functions.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

#ifndef LACUNA_KERNELS_CPU_FUNCTIONS_ONCE
#define LACUNA_KERNELS_CPU_FUNCTIONS_ONCE
namespace lacuna::cpu {

enum class Function {
  exp,
  log,
  square_root,
  tanh,
  sigmoid,
  silu,
  square_root_gradient,
  tanh_gradient,
  sigmoid_gradient,
  silu_gradient,
  divide
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// 1 / (1 + e^-x); beyond -88 the power is infinite, and its reciprocal 0 but for what is denormal.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid_of(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0f);
  const auto negative = hn::Neg(x);
  const auto power = exponential(d, hn::Min(negative, hn::Set(d, 88.0f)));
  const auto kept = hn::IfThenElse(hn::Eq(x, x), power, x);  // NaN stays NaN
  return hn::Div(one, hn::Add(one, kept));
}

template <class D>
HWY_INLINE hn::Vec<D> exp_of(D d, hn::Vec<D> x) {
  constexpr float most = 88.7228317f;  // the largest whose power is a float
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto power = exponential(d, hn::Min(x, hn::Set(d, most)));
  const auto bounded = hn::IfThenElse(hn::Gt(x, hn::Set(d, most)), infinity, power);
  return hn::IfThenElse(hn::Eq(x, x), bounded, x);
}

template <class D>
HWY_INLINE hn::Vec<D> log_of(D d, hn::Vec<D> x) {
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto none = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
  const auto zero = hn::Zero(d);
  const auto of_finite = hn::IfThenElse(hn::Eq(x, infinity), x, hn::Log(d, x));
  const auto of_positive = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), of_finite);
  return hn::IfThenElse(hn::Ge(x, zero), of_positive, none);
}

// The function of a, or of a and b.
template <Function function, class D>
HWY_INLINE hn::Vec<D> value_of(D d, hn::Vec<D> a, [[maybe_unused]] hn::Vec<D> b) {
  [[maybe_unused]] const auto one = hn::Set(d, 1.0f);
  if constexpr (function == Function::exp) return exp_of(d, a);
  if constexpr (function == Function::log) return log_of(d, a);
  if constexpr (function == Function::square_root) return hn::Sqrt(a);
  if constexpr (function == Function::tanh) return hn::IfThenElse(hn::Eq(a, a), hn::Tanh(d, a), a);
  if constexpr (function == Function::sigmoid) return sigmoid_of(d, a);
  if constexpr (function == Function::silu) return hn::Mul(a, sigmoid_of(d, a));
  if constexpr (function == Function::square_root_gradient) return hn::Div(a, hn::Add(b, b));
  if constexpr (function == Function::tanh_gradient) return hn::Mul(a, hn::NegMulAdd(b, b, one));
  if constexpr (function == Function::sigmoid_gradient)
    return hn::Mul(hn::Mul(a, b), hn::Sub(one, b));
  if constexpr (function == Function::silu_gradient) {
    const auto s = sigmoid_of(d, b);
    return hn::Mul(hn::Mul(a, s), hn::MulAdd(b, hn::Sub(one, s), one));
  }
  if constexpr (function == Function::divide) return hn::Div(a, b);
}

template <Function function>
void map_range(const Call& call, int64_t begin, int64_t end) {
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* a = static_cast<const T*>(call.in[0].data);
    const T* b = static_cast<const T*>(call.in.back().data);  // a again where there is one
    T* y = static_cast<T*>(call.out[0].data);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(value_of<function>(d, load(d, a + i), load(d, b + i)), d, y + i);
    });
  });
}

void function_range(const Call& call, Function function, int64_t begin, int64_t end) {
  switch (function) {
    case Function::exp:
      return map_range<Function::exp>(call, begin, end);
    case Function::log:
      return map_range<Function::log>(call, begin, end);
    case Function::square_root:
      return map_range<Function::square_root>(call, begin, end);
    case Function::tanh:
      return map_range<Function::tanh>(call, begin, end);
    case Function::sigmoid:
      return map_range<Function::sigmoid>(call, begin, end);
    case Function::silu:
      return map_range<Function::silu>(call, begin, end);
    case Function::square_root_gradient:
      return map_range<Function::square_root_gradient>(call, begin, end);
    case Function::tanh_gradient:
      return map_range<Function::tanh_gradient>(call, begin, end);
    case Function::sigmoid_gradient:
      return map_range<Function::sigmoid_gradient>(call, begin, end);
    case Function::silu_gradient:
      return map_range<Function::silu_gradient>(call, begin, end);
    case Function::divide:
      return map_range<Function::divide>(call, begin, end);
  }
}

void divide_gradient_range(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::DivideGradient;
  with_type(call.in[Operand::dy].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* dy = static_cast<const T*>(call.in[Operand::dy].data);
    const T* b = static_cast<const T*>(call.in[Operand::b].data);
    const T* y = static_cast<const T*>(call.in[Operand::y].data);
    T* da = static_cast<T*>(call.out[Operand::da].data);
    T* db = static_cast<T*>(call.out[Operand::db].data);
    for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      const auto of_a = hn::Div(load(d, dy + i), load(d, b + i));
      const auto of_b = hn::Neg(hn::Mul(of_a, load(d, y + i)));
      store(of_a, d, da + i);
      store(of_b, d, db + i);
    });
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(function_range);
HWY_EXPORT(divide_gradient_range);

namespace {

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

double double_of(Function function, double a, double b) {
  switch (function) {
    case Function::exp:
      return std::exp(a);
    case Function::log:
      return std::log(a);
    case Function::square_root:
      return std::sqrt(a);
    case Function::tanh:
      return std::tanh(a);
    case Function::sigmoid:
      return sigmoid_of(a);
    case Function::silu:
      return a * sigmoid_of(a);
    case Function::square_root_gradient:
      return a / (2 * b);
    case Function::tanh_gradient:
      return a * (1 - b * b);
    case Function::sigmoid_gradient:
      return a * b * (1 - b);
    case Function::silu_gradient: {
      const double s = sigmoid_of(b);
      return a * s * (1 + b * (1 - s));
    }
    case Function::divide:
      return a / b;
  }
  return 0;
}

int64_t element_grain(const Call& call) {
  const auto operands = static_cast<int64_t>(call.in.size() + call.out.size());
  return grain_of(operands * static_cast<int64_t>(size_of(call.in[0].dtype)));
}

template <Function function>
void run(const Call& call) {
  const int64_t count = call.out[0].count();
  if (call.in[0].dtype == DType::f64) {
    const double* a = call.in[0].as<double>();
    const double* b = call.in.back().as<double>();
    for (int64_t i = 0; i < count; ++i)
      call.out[0].as<double>()[i] = double_of(function, a[i], b[i]);
    return;
  }
  const auto range = HWY_DYNAMIC_DISPATCH(function_range);
  for_ranges(threads_of(call), count, element_grain(call),
             [&](int64_t begin, int64_t end) { range(call, function, begin, end); });
}

void divide_gradient(const Call& call) {
  using Operand = operands::DivideGradient;
  const int64_t count = call.out[Operand::da].count();
  if (call.in[Operand::dy].dtype == DType::f64) {
    for (int64_t i = 0; i < count; ++i) {
      const double of_a =
          call.in[Operand::dy].as<double>()[i] / call.in[Operand::b].as<double>()[i];
      const double of_b = -of_a * call.in[Operand::y].as<double>()[i];
      call.out[Operand::da].as<double>()[i] = of_a;
      call.out[Operand::db].as<double>()[i] = of_b;
    }
    return;
  }
  const auto range = HWY_DYNAMIC_DISPATCH(divide_gradient_range);
  for_ranges(threads_of(call), count, element_grain(call),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"exp", {f64, f32, bf16}, run<Function::exp>},
    KernelEntry{"log", {f64, f32, bf16}, run<Function::log>},
    KernelEntry{"square_root", {f64, f32, bf16}, run<Function::square_root>},
    KernelEntry{"tanh", {f64, f32, bf16}, run<Function::tanh>},
    KernelEntry{"sigmoid", {f64, f32, bf16}, run<Function::sigmoid>},
    KernelEntry{"silu", {f64, f32, bf16}, run<Function::silu>},
    KernelEntry{"square_root_gradient", {f64, f32, bf16}, run<Function::square_root_gradient>},
    KernelEntry{"tanh_gradient", {f64, f32, bf16}, run<Function::tanh_gradient>},
    KernelEntry{"sigmoid_gradient", {f64, f32, bf16}, run<Function::sigmoid_gradient>},
    KernelEntry{"silu_gradient", {f64, f32, bf16}, run<Function::silu_gradient>},
    KernelEntry{"divide", {f64, f32, bf16}, run<Function::divide>},
    KernelEntry{"divide_gradient", {f64, f32, bf16}, divide_gradient},
};

}  // namespace

std::span<const KernelEntry> functions_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
