#include "kernels/pooling.h"

#include <algorithm>
#include <array>
#include <limits>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// Calls f(element of x) for every element of the window that belongs to y[b, oh, ow, c].
template <typename F>
void for_each_in_window(const Pooling& p, const Shape& x, int64_t b, int64_t oh, int64_t ow,
                        int64_t c, const F& f) {
  for (int64_t r = 0; r < p.kernel[0]; ++r) {
    const int64_t h = oh * p.stride[0] - p.padding[0] + r;
    if (h < 0 || h >= x[1]) continue;
    for (int64_t s = 0; s < p.kernel[1]; ++s) {
      const int64_t w = ow * p.stride[1] - p.padding[1] + s;
      if (w < 0 || w >= x[2]) continue;
      f(((b * x[1] + h) * x[2] + w) * x[3] + c);
    }
  }
}

// Calls f(element, b, h, w, c) for every element of [B, H, W, C], in order.
template <typename F>
void for_each_element(const Shape& y, const F& f) {
  int64_t element = 0;
  for (int64_t b = 0; b < y[0]; ++b)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w)
        for (int64_t c = 0; c < y[3]; ++c) f(element++, b, h, w, c);
}

void max_pool(const Call& call) {
  const auto p = call.attributes.as<Pooling>();
  const double* x = call.in[0].as<double>();
  double* y = call.out[0].as<double>();
  for_each_element(call.out[0].shape,
                   [&](int64_t element, int64_t b, int64_t oh, int64_t ow, int64_t c) {
                     double largest = -std::numeric_limits<double>::infinity();
                     for_each_in_window(p, call.in[0].shape, b, oh, ow, c,
                                        [&](int64_t i) { largest = std::max(largest, x[i]); });
                     y[element] = largest;
                   });
}

void max_pool_gradient(const Call& call) {
  using Operand = operands::MaxPoolGradient;
  const auto p = call.attributes.as<Pooling>();
  const double* dy = call.in[Operand::dy].as<double>();
  const double* x = call.in[Operand::x].as<double>();
  const double* y = call.in[Operand::y].as<double>();
  double* dx = call.out[Operand::dx].as<double>();
  std::fill_n(dx, call.out[Operand::dx].count(), 0.0);
  for_each_element(call.in[Operand::y].shape,
                   [&](int64_t element, int64_t b, int64_t oh, int64_t ow, int64_t c) {
                     bool found = false;
                     for_each_in_window(p, call.in[Operand::x].shape, b, oh, ow, c, [&](int64_t i) {
                       if (found || x[i] != y[element]) return;
                       dx[i] += dy[element];
                       found = true;
                     });
                   });
}

void average_pool(const Call& call) {
  const Shape& x = call.in[0].shape;
  const int64_t channels = x[-1];
  const int64_t pixels = x.slice(1, x.rank() - 1).count();
  double* y = call.out[0].as<double>();
  std::fill_n(y, call.out[0].count(), 0.0);
  for (int64_t i = 0; i < x.count(); ++i) {
    const int64_t sample = i / (pixels * channels);
    y[sample * channels + i % channels] += call.in[0].as<double>()[i] / static_cast<double>(pixels);
  }
}

void average_pool_gradient(const Call& call) {
  const Shape& x = call.out[0].shape;
  const int64_t channels = x[-1];
  const int64_t pixels = x.slice(1, x.rank() - 1).count();
  const double* dy = call.in[0].as<double>();
  for (int64_t i = 0; i < x.count(); ++i) {
    const int64_t sample = i / (pixels * channels);
    call.out[0].as<double>()[i] =
        dy[sample * channels + i % channels] / static_cast<double>(pixels);
  }
}

void upsample(const Call& call) {
  const Shape& x = call.in[0].shape;
  const Shape& y = call.out[0].shape;
  for_each_element(y, [&](int64_t element, int64_t b, int64_t h, int64_t w, int64_t c) {
    const int64_t from = ((b * x[1] + h * x[1] / y[1]) * x[2] + w * x[2] / y[2]) * x[3] + c;
    call.out[0].as<double>()[element] = call.in[0].as<double>()[from];
  });
}

void upsample_gradient(const Call& call) {
  const Shape& x = call.out[0].shape;
  const Shape& y = call.in[0].shape;
  std::fill_n(call.out[0].as<double>(), x.count(), 0.0);
  for_each_element(y, [&](int64_t element, int64_t b, int64_t h, int64_t w, int64_t c) {
    const int64_t to = ((b * x[1] + h * x[1] / y[1]) * x[2] + w * x[2] / y[2]) * x[3] + c;
    call.out[0].as<double>()[to] += call.in[0].as<double>()[element];
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"max_pool", {f64}, max_pool},
    KernelEntry{"max_pool_gradient", {f64}, max_pool_gradient},
    KernelEntry{"average_pool", {f64}, average_pool},
    KernelEntry{"average_pool_gradient", {f64}, average_pool_gradient},
    KernelEntry{"upsample", {f64}, upsample},
    KernelEntry{"upsample_gradient", {f64}, upsample_gradient},
};

}  // namespace

std::span<const KernelEntry> pooling_kernels() { return table; }

}  // namespace lacuna::reference
