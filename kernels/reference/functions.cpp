#include "kernels/functions.h"

#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// y = f(x)
template <typename F>
void map(const Call& call, const F& f) {
  const double* x = call.in[0].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = f(x[i]);
}

// z = f(x, y)
template <typename F>
void map_two(const Call& call, const F& f) {
  const double* x = call.in[0].as<double>();
  const double* y = call.in[1].as<double>();
  double* z = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) z[i] = f(x[i], y[i]);
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

void exp(const Call& call) {
  map(call, [](double x) { return std::exp(x); });
}
void log(const Call& call) {
  map(call, [](double x) { return std::log(x); });
}
void square_root(const Call& call) {
  map(call, [](double x) { return std::sqrt(x); });
}
void tanh(const Call& call) {
  map(call, [](double x) { return std::tanh(x); });
}
void sigmoid(const Call& call) { map(call, sigmoid_of); }
void silu(const Call& call) {
  map(call, [](double x) { return x * sigmoid_of(x); });
}

void square_root_gradient(const Call& call) {
  map_two(call, [](double dy, double y) { return dy / (2 * y); });
}
void tanh_gradient(const Call& call) {
  map_two(call, [](double dy, double y) { return dy * (1 - y * y); });
}
void sigmoid_gradient(const Call& call) {
  map_two(call, [](double dy, double y) { return dy * y * (1 - y); });
}
void silu_gradient(const Call& call) {
  map_two(call, [](double dy, double x) {
    const double s = sigmoid_of(x);
    return dy * s * (1 + x * (1 - s));
  });
}

void divide(const Call& call) {
  map_two(call, [](double a, double b) { return a / b; });
}

void divide_gradient(const Call& call) {
  using Operand = operands::DivideGradient;
  const double* dy = call.in[Operand::dy].as<double>();
  const double* b = call.in[Operand::b].as<double>();
  const double* y = call.in[Operand::y].as<double>();
  for (int64_t i = 0; i < call.out[Operand::da].count(); ++i) {
    const double of_a = dy[i] / b[i];
    const double of_b = -of_a * y[i];
    call.out[Operand::da].as<double>()[i] = of_a;
    call.out[Operand::db].as<double>()[i] = of_b;
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"exp", {f64}, exp},
    KernelEntry{"log", {f64}, log},
    KernelEntry{"square_root", {f64}, square_root},
    KernelEntry{"tanh", {f64}, tanh},
    KernelEntry{"sigmoid", {f64}, sigmoid},
    KernelEntry{"silu", {f64}, silu},
    KernelEntry{"square_root_gradient", {f64}, square_root_gradient},
    KernelEntry{"tanh_gradient", {f64}, tanh_gradient},
    KernelEntry{"sigmoid_gradient", {f64}, sigmoid_gradient},
    KernelEntry{"silu_gradient", {f64}, silu_gradient},
    KernelEntry{"divide", {f64}, divide},
    KernelEntry{"divide_gradient", {f64}, divide_gradient},
};

}  // namespace

std::span<const KernelEntry> functions_kernels() { return table; }

}  // namespace lacuna::reference
