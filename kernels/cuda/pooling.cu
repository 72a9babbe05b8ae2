// Pooling and upsampling, channels-last: a thread has a group of channels of one output pixel.
// Bound by memory: every tensor once, since windows overlap in the cache. Gradients are gathered,
// not scattered: no atomics, the same bits at every run.
#include "kernels/pooling.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

struct Image {
  int64_t batch, height, width, groups;  // groups of channels
  explicit Image(const Shape& x, int group)
      : batch(x[0]), height(x[1]), width(x[2]), groups(x[3] / group) {}
  __host__ __device__ int64_t count() const { return batch * height * width * groups; }
  __device__ int64_t at(int64_t b, int64_t h, int64_t w, int64_t group) const {
    return ((b * height + h) * width + w) * groups + group;
  }
};

// Which pixel and group the number stands for.
struct Pixel {
  int64_t b, h, w, group;
  __device__ Pixel(const Image& image, int64_t number) {
    group = number % image.groups;
    const int64_t pixel = number / image.groups;
    w = pixel % image.width;
    h = pixel / image.width % image.height;
    b = pixel / image.width / image.height;
  }
};

// The pixels of x that an output pixel's window holds, [begin, end) along one axis.
struct Window {
  int64_t begin, end;
  __device__ Window(const Pooling& p, int axis, int64_t out, int64_t size)
      : begin(out * p.stride[axis] - p.padding[axis]), end(begin + p.kernel[axis]) {
    if (begin < 0) begin = 0;
    if (end > size) end = size;
  }
};

// The output pixels whose windows hold x's pixel, [begin, end) along one axis.
struct Holders {
  int64_t begin, end;
  __device__ Holders(const Pooling& p, int axis, int64_t in, int64_t out_size) {
    const int64_t stride = p.stride[axis];
    const int64_t padded = in + p.padding[axis];
    const int64_t after = padded - p.kernel[axis] + 1;  // stride times the first, at least
    begin = after <= 0 ? 0 : (after + stride - 1) / stride;
    end = padded / stride + 1;
    if (end > out_size) end = out_size;
  }
};

template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    max_pool_kernel(const T* x, T* y, Pooling p, Image in, Image out) {
  for (int64_t i = first_of_grid(); i < out.count(); i += threads_of_grid()) {
    const Pixel pixel(out, i);
    const Window rows(p, 0, pixel.h, in.height);
    const Window columns(p, 1, pixel.w, in.width);
    float largest[width];
    for (int e = 0; e < width; ++e) largest[e] = -INFINITY;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        float values[width];
        load_group(x + in.at(pixel.b, h, w, pixel.group) * width, values);
        for (int e = 0; e < width; ++e) largest[e] = fmaxf(largest[e], values[e]);
      }
    }
    store_group(largest, y + i * width);
  }
}

// Whether the pixel (h, w), whose values are `values`, is its window's first that equals the
// maximum.
template <int width, typename T>
__device__ void keep_first(const T* x, const Image& in, const Pixel& pixel, const Window& rows,
                           const Window& columns, const float (&values)[width],
                           float (&gradient)[width]) {
  for (int64_t h = rows.begin; h <= pixel.h; ++h) {
    const int64_t end = h == pixel.h ? pixel.w : columns.end;
    for (int64_t w = columns.begin; w < end; ++w) {
      float before[width];
      load_group(x + in.at(pixel.b, h, w, pixel.group) * width, before);
      for (int e = 0; e < width; ++e) gradient[e] = before[e] == values[e] ? 0.f : gradient[e];
    }
  }
}

template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    max_pool_gradient_kernel(const T* dy, const T* x, const T* y, T* dx, Pooling p, Image in,
                             Image out) {
  for (int64_t i = first_of_grid(); i < in.count(); i += threads_of_grid()) {
    const Pixel pixel(in, i);
    const Holders rows(p, 0, pixel.h, out.height);
    const Holders columns(p, 1, pixel.w, out.width);
    float values[width], sum[width] = {};
    load_group(x + i * width, values);
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const int64_t at = out.at(pixel.b, h, w, pixel.group) * width;
        float largest[width], gradient[width];
        load_group(y + at, largest);
        load_group(dy + at, gradient);
        for (int e = 0; e < width; ++e) gradient[e] = values[e] == largest[e] ? gradient[e] : 0.f;
        keep_first(x, in, pixel, Window(p, 0, h, in.height), Window(p, 1, w, in.width), values,
                   gradient);
        for (int e = 0; e < width; ++e) sum[e] += gradient[e];
      }
    }
    store_group(sum, dx + i * width);
  }
}

// x [B, pixels, C] to its mean [B, C]: a thread for each sample and group.
template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    average_pool_kernel(const T* x, T* y, int64_t batch, int64_t pixels, int64_t groups) {
  for (GridCursor at(groups); at.element < batch * groups; at.next()) {
    double sum[width] = {};
#pragma unroll 4
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      float values[width];
      load_group(x + ((at.row * pixels + pixel) * groups + at.column) * width, values);
      for (int e = 0; e < width; ++e) sum[e] += static_cast<double>(values[e]);
    }
    float mean[width];
    for (int e = 0; e < width; ++e)
      mean[e] = static_cast<float>(sum[e] / static_cast<double>(pixels));
    store_group(mean, y + at.element * width);
  }
}

template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    average_pool_gradient_kernel(const T* dy, T* dx, int64_t count, int64_t pixels,
                                 int64_t groups) {
  const auto share = static_cast<float>(1. / static_cast<double>(pixels));
  for (GridCursor at(pixels * groups); at.element < count; at.next()) {
    float values[width];
    load_group(dy + (at.row * groups + at.column % groups) * width, values);
    for (int e = 0; e < width; ++e) values[e] *= share;
    store_group(values, dx + at.element * width);
  }
}

template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    upsample_kernel(const T* x, T* y, Image in, Image out) {
  for (int64_t i = first_of_grid(); i < out.count(); i += threads_of_grid()) {
    const Pixel pixel(out, i);
    const int64_t from = in.at(pixel.b, pixel.h * in.height / out.height,
                               pixel.w * in.width / out.width, pixel.group);
    float values[width];
    load_group(x + from * width, values);
    store_group(values, y + i * width);
  }
}

// The first of y's pixels whose floor(i H / H') is `in`.
__device__ inline int64_t first_copy(int64_t in, int64_t in_size, int64_t out_size) {
  return (in * out_size + in_size - 1) / in_size;
}

template <int width, typename T>
__global__ void __launch_bounds__(block_size, 2)
    upsample_gradient_kernel(const T* dy, T* dx, Image in, Image out) {
  for (int64_t i = first_of_grid(); i < in.count(); i += threads_of_grid()) {
    const Pixel pixel(in, i);
    float sum[width] = {};
    const int64_t last_row = first_copy(pixel.h + 1, in.height, out.height);
    const int64_t last_column = first_copy(pixel.w + 1, in.width, out.width);
    for (int64_t h = first_copy(pixel.h, in.height, out.height); h < last_row; ++h) {
      for (int64_t w = first_copy(pixel.w, in.width, out.width); w < last_column; ++w) {
        float values[width];
        load_group(dy + out.at(pixel.b, h, w, pixel.group) * width, values);
        for (int e = 0; e < width; ++e) sum[e] += values[e];
      }
    }
    store_group(sum, dx + i * width);
  }
}

void max_pool(const Call& call) {
  with_width(call, call.in[0].dtype, call.in[0].shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const Image in(call.in[0].shape, width());
    const Image out(call.out[0].shape, width());
    launch(call, "max_pool", out.count(), max_pool_kernel<width(), T>, input<T>(call, 0),
           output<T>(call), call.attributes.as<Pooling>(), in, out);
  });
}

void max_pool_gradient(const Call& call) {
  using Operand = operands::MaxPoolGradient;
  with_width(
      call, call.in[Operand::dy].dtype, call.in[Operand::x].shape[-1], [&](auto type, auto width) {
        using T = decltype(type);
        const Image in(call.in[Operand::x].shape, width());
        const Image out(call.in[Operand::y].shape, width());
        launch(call, "max_pool_gradient", in.count(), max_pool_gradient_kernel<width(), T>,
               input<T>(call, Operand::dy), input<T>(call, Operand::x), input<T>(call, Operand::y),
               output<T>(call), call.attributes.as<Pooling>(), in, out);
      });
}

void average_pool(const Call& call) {
  const Shape& x = call.in[0].shape;
  with_width(call, call.in[0].dtype, x[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const int64_t groups = x[-1] / width();
    launch(call, "average_pool", x[0] * groups, average_pool_kernel<width(), T>, input<T>(call, 0),
           output<T>(call), x[0], x.slice(1, x.rank() - 1).count(), groups);
  });
}

void average_pool_gradient(const Call& call) {
  const Shape& x = call.out[0].shape;
  with_width(call, call.in[0].dtype, x[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const int64_t count = x.count() / width();
    launch(call, "average_pool_gradient", count, average_pool_gradient_kernel<width(), T>,
           input<T>(call, 0), output<T>(call), count, x.slice(1, x.rank() - 1).count(),
           x[-1] / width());
  });
}

void upsample(const Call& call) {
  with_width(call, call.in[0].dtype, call.in[0].shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const Image out(call.out[0].shape, width());
    launch(call, "upsample", out.count(), upsample_kernel<width(), T>, input<T>(call, 0),
           output<T>(call), Image(call.in[0].shape, width()), out);
  });
}

void upsample_gradient(const Call& call) {
  with_width(call, call.in[0].dtype, call.in[0].shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const Image in(call.out[0].shape, width());
    launch(call, "upsample_gradient", in.count(), upsample_gradient_kernel<width(), T>,
           input<T>(call, 0), output<T>(call), in, Image(call.in[0].shape, width()));
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"max_pool", {f32, bf16, f16}, max_pool},
    KernelEntry{"max_pool_gradient", {f32, bf16, f16}, max_pool_gradient},
    KernelEntry{"average_pool", {f32, bf16, f16}, average_pool},
    KernelEntry{"average_pool_gradient", {f32, bf16, f16}, average_pool_gradient},
    KernelEntry{"upsample", {f32, bf16, f16}, upsample},
    KernelEntry{"upsample_gradient", {f32, bf16, f16}, upsample_gradient},
};

}  // namespace

std::span<const KernelEntry> pooling_kernels() { return table; }

}  // namespace lacuna::cuda
