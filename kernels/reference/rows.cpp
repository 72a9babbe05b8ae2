#include "kernels/rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void normalize_rows(const Call& call) {
  const double epsilon = call.attributes.as<NormalizeRows>().epsilon;
  const int64_t rows = call.in[0].shape[0];
  const int64_t features = call.in[0].shape[1];
  for (int64_t i = 0; i < rows; ++i) {
    const double* x = call.in[0].as<double>() + i * features;
    double* y = call.out[0].as<double>() + i * features;
    const double length = std::sqrt(std::inner_product(x, x + features, x, 0.0));
    const double norm = std::max(length, epsilon);
    call.out[1].as<double>()[i] = norm;
    for (int64_t d = 0; d < features; ++d) y[d] = x[d] / norm;
  }
}

void normalize_rows_gradient(const Call& call) {
  using Operand = operands::NormalizeRowsGradient;
  const double epsilon = call.attributes.as<NormalizeRows>().epsilon;
  const int64_t rows = call.in[Operand::dy].shape[0];
  const int64_t features = call.in[Operand::dy].shape[1];
  for (int64_t i = 0; i < rows; ++i) {
    const double* dy = call.in[Operand::dy].as<double>() + i * features;
    const double* y = call.in[Operand::y].as<double>() + i * features;
    const double norm = call.in[Operand::norms].as<double>()[i];
    double* dx = call.out[Operand::dx].as<double>() + i * features;
    const double along = norm == epsilon ? 0 : std::inner_product(y, y + features, dy, 0.0);
    for (int64_t d = 0; d < features; ++d) dx[d] = (dy[d] - y[d] * along) / norm;
  }
}

void scale_rows(const Call& call) {
  const double* x = call.in[0].as<double>();
  const double* factors = call.in[1].as<double>();
  double* y = call.out[0].as<double>();
  const int64_t size = call.in[0].shape.from(1).count();
  for (int64_t i = 0; i < call.out[0].count(); ++i) y[i] = x[i] * factors[i / size];
}

template <typename T>
void concatenate_all(const Call& call) {
  T* y = call.out[0].as<T>();
  for (const View& x : call.in) y = std::copy_n(x.as<T>(), x.count(), y);
}

void concatenate(const Call& call) {
  if (call.out[0].dtype == DType::i64) return concatenate_all<int64_t>(call);
  concatenate_all<double>(call);
}

void place_rows(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t begin = call.attributes.as<PlaceRows>().begin * x.shape.from(1).count();
  std::fill_n(y.as<double>(), y.count(), 0.0);
  std::copy_n(x.as<double>(), x.count(), y.as<double>() + begin);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"normalize_rows", {f64}, normalize_rows},
    KernelEntry{"normalize_rows_gradient", {f64}, normalize_rows_gradient},
    KernelEntry{"scale_rows", {f64}, scale_rows},
    KernelEntry{"concatenate", {f64, i64}, concatenate},
    KernelEntry{"place_rows", {f64}, place_rows},
};

}  // namespace

std::span<const KernelEntry> rows_kernels() { return table; }

}  // namespace lacuna::reference
