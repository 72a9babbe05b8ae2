#include "kernels/convolution.h"

#include <algorithm>
#include <array>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

int64_t product(const int64_t sizes[3]) { return sizes[0] * sizes[1] * sizes[2]; }

// Calls f(position in x, position in y, kernel position) for every pair of pixels that a kernel
// position connects; positions count pixels of the whole batch.
template <typename F>
void for_each_tap(const Convolution& c, const F& f) {
  int64_t to = 0;
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t o0 = 0; o0 < c.out[0]; ++o0) {
      for (int64_t o1 = 0; o1 < c.out[1]; ++o1) {
        for (int64_t o2 = 0; o2 < c.out[2]; ++o2, ++to) {
          for (int64_t r0 = 0; r0 < c.kernel[0]; ++r0) {
            const int64_t i0 = o0 * c.stride[0] - c.padding[0] + r0;
            if (i0 < 0 || i0 >= c.in[0]) continue;
            for (int64_t r1 = 0; r1 < c.kernel[1]; ++r1) {
              const int64_t i1 = o1 * c.stride[1] - c.padding[1] + r1;
              if (i1 < 0 || i1 >= c.in[1]) continue;
              for (int64_t r2 = 0; r2 < c.kernel[2]; ++r2) {
                const int64_t i2 = o2 * c.stride[2] - c.padding[2] + r2;
                if (i2 < 0 || i2 >= c.in[2]) continue;
                f(((b * c.in[0] + i0) * c.in[1] + i1) * c.in[2] + i2, to,
                  (r0 * c.kernel[1] + r1) * c.kernel[2] + r2);
              }
            }
          }
        }
      }
    }
  }
}

// The loops below hold weights as [kernel…, C, K], so that they run over memory in order.
void to_inner_layout(const Convolution& c, const double* w, double* inner) {
  const int64_t taps = product(c.kernel);
  for (int64_t k = 0; k < c.out_channels; ++k)
    for (int64_t i = 0; i < c.in_channels; ++i)
      for (int64_t r = 0; r < taps; ++r)
        inner[(r * c.in_channels + i) * c.out_channels + k] = w[(k * c.in_channels + i) * taps + r];
}

void from_inner_layout(const Convolution& c, const double* inner, double* w) {
  const int64_t taps = product(c.kernel);
  for (int64_t k = 0; k < c.out_channels; ++k)
    for (int64_t i = 0; i < c.in_channels; ++i)
      for (int64_t r = 0; r < taps; ++r)
        w[(k * c.in_channels + i) * taps + r] = inner[(r * c.in_channels + i) * c.out_channels + k];
}

double* weights_scratch(const Call& call, const Convolution& c) {
  const int64_t count = product(c.kernel) * c.in_channels * c.out_channels;
  return static_cast<double*>(call.context.scratch(static_cast<size_t>(count) * sizeof(double)));
}

void convolution(const Call& call) {
  using Operand = operands::Convolution;
  const auto c = call.attributes.as<Convolution>();
  const double* x = call.in[Operand::x].as<double>();
  double* w = weights_scratch(call, c);
  to_inner_layout(c, call.in[Operand::w].as<double>(), w);
  double* y = call.out[Operand::y].as<double>();
  for (int64_t i = 0; i < call.out[Operand::y].count(); ++i) {
    y[i] = c.bias ? call.in[Operand::bias].as<double>()[i % c.out_channels] : 0;
  }
  for_each_tap(c, [&](int64_t from, int64_t to, int64_t tap) {
    double* yk = y + to * c.out_channels;
    for (int64_t i = 0; i < c.in_channels; ++i) {
      const double xi = x[from * c.in_channels + i];
      const double* wk = w + (tap * c.in_channels + i) * c.out_channels;
      for (int64_t k = 0; k < c.out_channels; ++k) yk[k] += xi * wk[k];
    }
  });
}

void convolution_data_gradient(const Call& call) {
  const auto c = call.attributes.as<Convolution>();
  const double* dy = call.in[0].as<double>();
  double* w = weights_scratch(call, c);
  to_inner_layout(c, call.in[1].as<double>(), w);
  double* dx = call.out[0].as<double>();
  std::fill_n(dx, call.out[0].count(), 0.0);
  for_each_tap(c, [&](int64_t from, int64_t to, int64_t tap) {
    const double* dyk = dy + to * c.out_channels;
    for (int64_t i = 0; i < c.in_channels; ++i) {
      const double* wk = w + (tap * c.in_channels + i) * c.out_channels;
      double sum = 0;
      for (int64_t k = 0; k < c.out_channels; ++k) sum += dyk[k] * wk[k];
      dx[from * c.in_channels + i] += sum;
    }
  });
}

void convolution_weight_gradient(const Call& call) {
  const auto c = call.attributes.as<Convolution>();
  const double* x = call.in[0].as<double>();
  const double* dy = call.in[1].as<double>();
  double* dw = weights_scratch(call, c);
  std::fill_n(dw, call.out[0].count(), 0.0);
  for_each_tap(c, [&](int64_t from, int64_t to, int64_t tap) {
    const double* dyk = dy + to * c.out_channels;
    for (int64_t i = 0; i < c.in_channels; ++i) {
      const double xi = x[from * c.in_channels + i];
      double* dwk = dw + (tap * c.in_channels + i) * c.out_channels;
      for (int64_t k = 0; k < c.out_channels; ++k) dwk[k] += xi * dyk[k];
    }
  });
  from_inner_layout(c, dw, call.out[0].as<double>());
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"convolution", {f64}, convolution},
    KernelEntry{"convolution_data_gradient", {f64}, convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", {f64}, convolution_weight_gradient},
};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return table; }

}  // namespace lacuna::reference
