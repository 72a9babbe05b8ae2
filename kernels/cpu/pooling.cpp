// Pooling and upsampling, vectorised over channels, parallel over images. Bound by memory: x and y
// once each; windows that overlap read x from the caches again.
#include "kernels/pooling.h"

#include <array>
#include <limits>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pooling.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

#ifndef LACUNA_KERNELS_CPU_POOLING_ONCE
#define LACUNA_KERNELS_CPU_POOLING_ONCE
namespace lacuna::cpu {

// One window of a padded pooling, cut to the image.
struct Window {
  Window(const Pooling& p, int64_t row, int64_t column, int64_t height, int64_t width)
      : top(std::max<int64_t>(row * p.stride[0] - p.padding[0], 0)),
        left(std::max<int64_t>(column * p.stride[1] - p.padding[1], 0)),
        bottom(std::min(row * p.stride[0] - p.padding[0] + p.kernel[0], height)),
        right(std::min(column * p.stride[1] - p.padding[1] + p.kernel[1], width)) {}
  int64_t top, left, bottom, right;
};

// The places of an upsampled axis that hold a copy of place `from`: i with
// floor(i size / new_size) = from.
struct Copies {
  Copies(int64_t from, int64_t size, int64_t new_size)
      : begin((from * new_size + size - 1) / size),
        end(((from + 1) * new_size + size - 1) / size) {}
  int64_t begin, end;
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

template <typename T>
HWY_INLINE void max_pool_image(const Pooling& p, const Shape& in, const Shape& out, const T* x,
                               T* y) {
  const int64_t height = in[1], width = in[2], channels = in[3];
  for (int64_t i = 0; i < out[1]; ++i) {
    for (int64_t j = 0; j < out[2]; ++j, y += channels) {
      const Window w(p, i, j, height, width);
      for_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
        auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
        for (int64_t row = w.top; row < w.bottom; ++row) {
          for (int64_t column = w.left; column < w.right; ++column) {
            best = hn::Max(best, load(d, x + (row * width + column) * channels + c));
          }
        }
        store(best, d, y + c);
      });
    }
  }
}

void max_pool_images(const Call& call, int64_t begin, int64_t end) {
  const auto p = call.attributes.as<Pooling>();
  const Shape& in = call.in[0].shape;
  const Shape& out = call.out[0].shape;
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* x = static_cast<const T*>(call.in[0].data);
    T* y = static_cast<T*>(call.out[0].data);
    for (int64_t b = begin; b < end; ++b) {
      max_pool_image(p, in, out, x + b * in.from(1).count(), y + b * out.from(1).count());
    }
  });
}

// Adds dy of each window to the first of its elements that equals y. Sums of overlapping windows
// are rounded to T one by one.
template <typename T>
HWY_INLINE void max_pool_gradient_image(const Pooling& p, const Shape& in, const Shape& out,
                                        const T* dy, const T* x, const T* y, T* dx) {
  const int64_t height = in[1], width = in[2], channels = in[3];
  std::memset(static_cast<void*>(dx), 0,
              static_cast<size_t>(height * width * channels) * sizeof(T));
  for (int64_t i = 0; i < out[1]; ++i) {
    for (int64_t j = 0; j < out[2]; ++j, y += channels, dy += channels) {
      const Window w(p, i, j, height, width);
      for_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
        const auto largest = load(d, y + c);
        auto rest = load(d, dy + c);  // 0 in lanes that have given it away
        auto open = hn::Eq(largest, largest);
        for (int64_t row = w.top; row < w.bottom; ++row) {
          for (int64_t column = w.left; column < w.right; ++column) {
            const int64_t at = (row * width + column) * channels + c;
            const auto first = hn::And(open, hn::Eq(load(d, x + at), largest));
            open = hn::AndNot(first, open);
            store(hn::Add(load(d, dx + at), hn::IfThenElseZero(first, rest)), d, dx + at);
          }
        }
      });
    }
  }
}

void max_pool_gradient_images(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::MaxPoolGradient;
  const auto p = call.attributes.as<Pooling>();
  const Shape& in = call.in[Operand::x].shape;
  const Shape& out = call.in[Operand::dy].shape;
  const int64_t in_image = in.from(1).count();
  const int64_t out_image = out.from(1).count();
  with_type(call.in[Operand::dy].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* dy = static_cast<const T*>(call.in[Operand::dy].data);
    const T* x = static_cast<const T*>(call.in[Operand::x].data);
    const T* y = static_cast<const T*>(call.in[Operand::y].data);
    T* dx = static_cast<T*>(call.out[Operand::dx].data);
    for (int64_t b = begin; b < end; ++b) {
      max_pool_gradient_image(p, in, out, dy + b * out_image, x + b * in_image, y + b * out_image,
                              dx + b * in_image);
    }
  });
}

void average_pool_images(const Call& call, int64_t begin, int64_t end) {
  const Shape& in = call.in[0].shape;
  const int64_t channels = in[-1];
  const int64_t places = in.slice(1, in.rank() - 1).count();
  const double share = 1.0 / static_cast<double>(places);
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* x = static_cast<const T*>(call.in[0].data) + b * places * channels;
      T* y = static_cast<T*>(call.out[0].data) + b * channels;
      for_double_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
        auto sum = hn::Zero(d);
        for (int64_t i = 0; i < places; ++i)
          sum = hn::Add(sum, load_double(d, x + i * channels + c));
        const hn::Rebind<float, decltype(d)> df;
        store(hn::DemoteTo(df, hn::Mul(sum, hn::Set(d, share))), df, y + c);
      });
    }
  });
}

void average_pool_gradient_images(const Call& call, int64_t begin, int64_t end) {
  const Shape& out = call.out[0].shape;
  const int64_t channels = out[-1];
  const int64_t places = out.slice(1, out.rank() - 1).count();
  const float share = static_cast<float>(1.0 / static_cast<double>(places));
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* dy = static_cast<const T*>(call.in[0].data) + b * channels;
      T* dx = static_cast<T*>(call.out[0].data) + b * places * channels;
      for (int64_t i = 0; i < places; ++i) {
        for_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
          store(hn::Mul(load(d, dy + c), hn::Set(d, share)), d, dx + i * channels + c);
        });
      }
    }
  });
}

void upsample_images(const Call& call, int64_t begin, int64_t end) {
  const Shape& in = call.in[0].shape;
  const Shape& out = call.out[0].shape;
  const int64_t channels = in[3];
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* x = static_cast<const T*>(call.in[0].data) + b * in.from(1).count();
      T* y = static_cast<T*>(call.out[0].data) + b * out.from(1).count();
      for (int64_t i = 0; i < out[1]; ++i) {
        const T* row = x + i * in[1] / out[1] * in[2] * channels;
        for (int64_t j = 0; j < out[2]; ++j, y += channels) {
          const T* from = row + j * in[2] / out[2] * channels;
          for_lanes(0, channels,
                    [&](auto d, int64_t c) HWY_ATTR { store(load(d, from + c), d, y + c); });
        }
      }
    }
  });
}

void upsample_gradient_images(const Call& call, int64_t begin, int64_t end) {
  const Shape& in = call.out[0].shape;
  const Shape& out = call.in[0].shape;
  const int64_t channels = in[3];
  with_type(call.in[0].dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t b = begin; b < end; ++b) {
      const T* dy = static_cast<const T*>(call.in[0].data) + b * out.from(1).count();
      T* dx = static_cast<T*>(call.out[0].data) + b * in.from(1).count();
      for (int64_t i = 0; i < in[1]; ++i) {
        for (int64_t j = 0; j < in[2]; ++j, dx += channels) {
          const Copies rows(i, in[1], out[1]);
          const Copies columns(j, in[2], out[2]);
          for_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
            auto sum = hn::Zero(d);
            for (int64_t k = rows.begin; k < rows.end; ++k) {
              for (int64_t l = columns.begin; l < columns.end; ++l) {
                sum = hn::Add(sum, load(d, dy + (k * out[2] + l) * channels + c));
              }
            }
            store(sum, d, dx + c);
          });
        }
      }
    }
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(max_pool_images);
HWY_EXPORT(max_pool_gradient_images);
HWY_EXPORT(average_pool_images);
HWY_EXPORT(average_pool_gradient_images);
HWY_EXPORT(upsample_images);
HWY_EXPORT(upsample_gradient_images);

namespace {

// Images of the larger operand give the grain.
void for_images(const Call& call, void (*range)(const Call&, int64_t, int64_t)) {
  const View& out = call.out[0];
  const int64_t images = out.shape[0];
  const int64_t elements = std::max(call.in[0].count(), out.count()) / std::max<int64_t>(1, images);
  for_ranges(threads_of(call), images,
             grain_of(elements * static_cast<int64_t>(size_of(out.dtype))),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void max_pool(const Call& call) { for_images(call, HWY_DYNAMIC_DISPATCH(max_pool_images)); }
void max_pool_gradient(const Call& call) {
  for_images(call, HWY_DYNAMIC_DISPATCH(max_pool_gradient_images));
}
void average_pool(const Call& call) { for_images(call, HWY_DYNAMIC_DISPATCH(average_pool_images)); }
void average_pool_gradient(const Call& call) {
  for_images(call, HWY_DYNAMIC_DISPATCH(average_pool_gradient_images));
}
void upsample(const Call& call) { for_images(call, HWY_DYNAMIC_DISPATCH(upsample_images)); }
void upsample_gradient(const Call& call) {
  for_images(call, HWY_DYNAMIC_DISPATCH(upsample_gradient_images));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"max_pool", {f32, bf16}, max_pool},
    KernelEntry{"max_pool_gradient", {f32, bf16}, max_pool_gradient},
    KernelEntry{"average_pool", {f32, bf16}, average_pool},
    KernelEntry{"average_pool_gradient", {f32, bf16}, average_pool_gradient},
    KernelEntry{"upsample", {f32, bf16}, upsample},
    KernelEntry{"upsample_gradient", {f32, bf16}, upsample_gradient},
};

}  // namespace

std::span<const KernelEntry> pooling_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
