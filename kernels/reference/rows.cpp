#include "kernels/rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

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
  const double epsilon = call.attributes.as<NormalizeRows>().epsilon;
  const int64_t rows = call.in[0].shape[0];
  const int64_t features = call.in[0].shape[1];
  for (int64_t i = 0; i < rows; ++i) {
    const double* dy = call.in[0].as<double>() + i * features;
    const double* y = call.in[1].as<double>() + i * features;
    const double norm = call.in[2].as<double>()[i];
    double* dx = call.out[0].as<double>() + i * features;
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

void concatenate(const Call& call) {
  double* y = call.out[0].as<double>();
  for (const View& x : call.in) y = std::copy_n(x.as<double>(), x.count(), y);
}

void place_rows(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t begin = call.attributes.as<PlaceRows>().begin * x.shape.from(1).count();
  std::fill_n(y.as<double>(), y.count(), 0.0);
  std::copy_n(x.as<double>(), x.count(), y.as<double>() + begin);
}

}  // namespace lacuna::reference
