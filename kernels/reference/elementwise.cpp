#include "kernels/elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"
#include "kernels/reference/support/gelu.h"

namespace lacuna::reference {

namespace {

void accumulate(const Call& call) {
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) {
    double sum = 0;
    for (const View& x : call.in) sum += x.as<double>()[i];
    y[i] = sum;
  }
}

void scale(const Call& call) {
  const double factor = call.attributes.as<Scale>().factor;
  const double* x = call.in[0].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = factor * x[i];
}

void multiply(const Call& call) {
  const double* a = call.in[0].as<double>();
  const double* b = call.in[1].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = a[i] * b[i];
}

void hide(const Call& call) {
  const double* x = call.in[0].as<double>();
  const double* mask = call.in[1].as<double>();
  double* y = call.out[0].as<double>();
  const int64_t channels = call.out[0].shape[-1];
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = x[i] * (1 - mask[i / channels]);
}

void relu(const Call& call) {
  const double* x = call.in[0].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = std::max(x[i], 0.0);
}

void relu_gradient(const Call& call) {
  const double* dy = call.in[0].as<double>();
  const double* y = call.in[1].as<double>();
  double* dx = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

void gelu(const Call& call) {
  const double* x = call.in[0].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = gelu_of(x[i]);
}

void gelu_gradient(const Call& call) {
  const double* dy = call.in[0].as<double>();
  const double* x = call.in[1].as<double>();
  double* dx = call.out[0].as<double>();
  for (int64_t i = 0; i < call.out[0].count(); ++i) dx[i] = dy[i] * gelu_slope(x[i]);
}

void add_to_each(const Call& call) {
  const double* x = call.in[0].as<double>();
  const double* p = call.in[1].as<double>();
  double* y = call.out[0].as<double>();
  const int64_t size = call.in[1].count();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = x[i] + p[i % size];
}

double load(const View& x, int64_t i) {
  switch (x.dtype) {
    case DType::f64:
      return x.as<double>()[i];
    case DType::f32:
      return static_cast<double>(x.as<float>()[i]);
    case DType::bf16:
      return static_cast<double>(static_cast<float>(x.as<BFloat16>()[i]));
    case DType::i64:
      return static_cast<double>(x.as<int64_t>()[i]);
    case DType::u8:
      return static_cast<double>(x.as<uint8_t>()[i]);
    default:
      LACUNA_CHECK(false, "cast from ", name_of(x.dtype));
  }
  return 0;
}

void store(const View& y, int64_t i, double value) {
  switch (y.dtype) {
    case DType::f64:
      y.as<double>()[i] = value;
      return;
    case DType::f32:
      y.as<float>()[i] = static_cast<float>(value);
      return;
    case DType::bf16:
      y.as<BFloat16>()[i] = BFloat16(static_cast<float>(value));
      return;
    case DType::i64:
      y.as<int64_t>()[i] = static_cast<int64_t>(std::nearbyint(value));
      return;
    case DType::u8:
      y.as<uint8_t>()[i] = static_cast<uint8_t>(std::nearbyint(value));
      return;
    default:
      LACUNA_CHECK(false, "cast to ", name_of(y.dtype));
  }
}

void cast(const Call& call) {
  for (int64_t i = 0; i < call.out[0].count(); ++i) store(call.out[0], i, load(call.in[0], i));
}

void squared_norm(const Call& call) {
  double sum = 0;
  for (const View& x : call.in) {
    for (int64_t i = 0; i < x.count(); ++i) sum += x.as<double>()[i] * x.as<double>()[i];
  }
  *call.out[0].as<double>() = sum;
}

void count_correct(const Call& call) {
  const int64_t rows = call.in[0].shape[0];
  const int64_t classes = call.in[0].shape[1];
  const double* logits = call.in[0].as<double>();
  const int64_t* labels = call.in[1].as<int64_t>();
  int64_t correct = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double* row = logits + i * classes;
    if (std::max_element(row, row + classes) - row == labels[i]) ++correct;
  }
  *call.out[0].as<double>() = static_cast<double>(correct);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"accumulate", {f64}, accumulate},
    KernelEntry{"scale", {f64}, scale},
    KernelEntry{"multiply", {f64}, multiply},
    KernelEntry{"hide", {f64}, hide},
    KernelEntry{"relu", {f64}, relu},
    KernelEntry{"relu_gradient", {f64}, relu_gradient},
    KernelEntry{"gelu", {f64}, gelu},
    KernelEntry{"gelu_gradient", {f64}, gelu_gradient},
    KernelEntry{"add_to_each", {f64}, add_to_each},
    KernelEntry{"cast", {f64, f32, bf16, i64, u8}, cast},
    KernelEntry{"squared_norm", {f64}, squared_norm},
    KernelEntry{"count_correct", {f64}, count_correct},
};

}  // namespace

std::span<const KernelEntry> elementwise_kernels() { return table; }

}  // namespace lacuna::reference
