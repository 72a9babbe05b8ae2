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
            const int64_t i0 = o0 * c.stride[0] - c.padding[0] + r0 * c.dilation[0];
            if (i0 < 0 || i0 >= c.in[0]) continue;
            for (int64_t r1 = 0; r1 < c.kernel[1]; ++r1) {
              const int64_t i1 = o1 * c.stride[1] - c.padding[1] + r1 * c.dilation[1];
              if (i1 < 0 || i1 >= c.in[1]) continue;
              for (int64_t r2 = 0; r2 < c.kernel[2]; ++r2) {
                const int64_t i2 = o2 * c.stride[2] - c.padding[2] + r2 * c.dilation[2];
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

// Channels of x and of y in a group.
struct Group {
  explicit Group(const Convolution& c)
      : in(c.in_channels / c.groups), out(c.out_channels / c.groups) {}
  int64_t in, out;
};

// The loops below hold weights as [kernel…, C / G, K], so that they run over memory in order.
void to_inner_layout(const Convolution& c, const double* w, double* inner) {
  const int64_t taps = product(c.kernel);
  const int64_t channels = Group(c).in;
  for (int64_t k = 0; k < c.out_channels; ++k)
    for (int64_t i = 0; i < channels; ++i)
      for (int64_t r = 0; r < taps; ++r)
        inner[(r * channels + i) * c.out_channels + k] = w[(k * channels + i) * taps + r];
}

void from_inner_layout(const Convolution& c, const double* inner, double* w) {
  const int64_t taps = product(c.kernel);
  const int64_t channels = Group(c).in;
  for (int64_t k = 0; k < c.out_channels; ++k)
    for (int64_t i = 0; i < channels; ++i)
      for (int64_t r = 0; r < taps; ++r)
        w[(k * channels + i) * taps + r] = inner[(r * channels + i) * c.out_channels + k];
}

double* weights_scratch(const Call& call, const Convolution& c) {
  const int64_t count = product(c.kernel) * Group(c).in * c.out_channels;
  return static_cast<double*>(call.context.scratch(static_cast<size_t>(count) * sizeof(double)));
}

// f(channel of x, first channel of y, first weight) for every channel of x that a tap connects;
// positions as for_each_tap has them, each of a run of Group::out.
template <typename F>
void for_each_run(const Convolution& c, const F& f) {
  const Group group(c);
  for_each_tap(c, [&](int64_t from, int64_t to, int64_t tap) {
    for (int64_t i = 0; i < c.in_channels; ++i) {
      const int64_t first = i / group.in * group.out;
      f(from * c.in_channels + i, to * c.out_channels + first,
        (tap * group.in + i % group.in) * c.out_channels + first);
    }
  });
}

void convolution(const Call& call) {
  using Operand = operands::Convolution;
  const auto c = call.attributes.as<Convolution>();
  const int64_t run = Group(c).out;
  const double* x = call.in[Operand::x].as<double>();
  double* w = weights_scratch(call, c);
  to_inner_layout(c, call.in[Operand::w].as<double>(), w);
  double* y = call.out[Operand::y].as<double>();
  for (int64_t i = 0; i < call.out[Operand::y].count(); ++i) {
    y[i] = c.bias ? call.in[Operand::bias].as<double>()[i % c.out_channels] : 0;
  }
  for_each_run(c, [&](int64_t from, int64_t to, int64_t weight) {
    for (int64_t k = 0; k < run; ++k) y[to + k] += x[from] * w[weight + k];
  });
}

void convolution_data_gradient(const Call& call) {
  const auto c = call.attributes.as<Convolution>();
  const int64_t run = Group(c).out;
  const double* dy = call.in[0].as<double>();
  double* w = weights_scratch(call, c);
  to_inner_layout(c, call.in[1].as<double>(), w);
  double* dx = call.out[0].as<double>();
  std::fill_n(dx, call.out[0].count(), 0.0);
  for_each_run(c, [&](int64_t from, int64_t to, int64_t weight) {
    double sum = 0;
    for (int64_t k = 0; k < run; ++k) sum += dy[to + k] * w[weight + k];
    dx[from] += sum;
  });
}

void convolution_weight_gradient(const Call& call) {
  const auto c = call.attributes.as<Convolution>();
  const int64_t run = Group(c).out;
  const double* x = call.in[0].as<double>();
  const double* dy = call.in[1].as<double>();
  double* dw = weights_scratch(call, c);
  std::fill_n(dw, call.out[0].count(), 0.0);
  for_each_run(c, [&](int64_t from, int64_t to, int64_t weight) {
    for (int64_t k = 0; k < run; ++k) dw[weight + k] += x[from] * dy[to + k];
  });
  from_inner_layout(c, dw, call.out[0].as<double>());
}

// f(element of [K, C / G, taps], element of [K, C, taps]) for all of the former.
template <typename F>
void for_blocks(const Call& call, const Shape& small, const F& f) {
  const int64_t groups = call.attributes.as<Groups>().groups;
  const int64_t row = small.from(1).count();
  for (int64_t k = 0; k < small[0]; ++k) {
    const int64_t group = k / (small[0] / groups);
    for (int64_t i = 0; i < row; ++i) f(k * row + i, (k * groups + group) * row + i);
  }
}

void block_diagonal(const Call& call) {
  double* y = call.out[0].as<double>();
  std::fill_n(y, call.out[0].count(), 0.0);
  for_blocks(call, call.in[0].shape,
             [&](int64_t from, int64_t to) { y[to] = call.in[0].as<double>()[from]; });
}

void diagonal_blocks(const Call& call) {
  for_blocks(call, call.out[0].shape, [&](int64_t to, int64_t from) {
    call.out[0].as<double>()[to] = call.in[0].as<double>()[from];
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"convolution", {f64}, convolution},
    KernelEntry{"convolution_data_gradient", {f64}, convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", {f64}, convolution_weight_gradient},
    KernelEntry{"grouped_convolution", {f64}, convolution},
    KernelEntry{"grouped_convolution_data_gradient", {f64}, convolution_data_gradient},
    KernelEntry{"grouped_convolution_weight_gradient", {f64}, convolution_weight_gradient},
    KernelEntry{"block_diagonal", {f64}, block_diagonal},
    KernelEntry{"diagonal_blocks", {f64}, diagonal_blocks},
};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return table; }

}  // namespace lacuna::reference
