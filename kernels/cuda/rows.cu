// Kernels on rows; bound by memory. Rows that are normalised are read twice by one warp, the second
// time from the cache.
#include "kernels/rows.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/cuda/support/slices.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// The sum over a row of a[d] b[d], in every lane.
template <typename T>
__device__ double row_product(const T* a, const T* b, int64_t features) {
  double sum = 0;
  for (int64_t d = lane_of_warp(); d < features; d += warp_size)
    sum = fma(static_cast<double>(to_float(a[d])), static_cast<double>(to_float(b[d])), sum);
  return warp_sum(sum);
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    normalize_kernel(const T* x, T* y, float* norms, int64_t rows, int64_t features,
                     float epsilon) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const T* of_row = x + row * features;
    const auto length = static_cast<float>(sqrt(row_product(of_row, of_row, features)));
    const float norm = length < epsilon ? epsilon : length;  // NaN stays NaN
    for (int64_t d = lane_of_warp(); d < features; d += warp_size)
      y[row * features + d] = from_float<T>(to_float(of_row[d]) / norm);
    if (lane_of_warp() == 0) norms[row] = norm;
  }
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    normalize_gradient_kernel(const T* dy, const T* y, const float* norms, T* dx, int64_t rows,
                              int64_t features, float epsilon) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const int64_t begin = row * features;
    const auto product = static_cast<float>(row_product(dy + begin, y + begin, features));
    const float along = norms[row] == epsilon ? 0.f : product;
    const float inverse = 1 / norms[row];
    for (int64_t d = begin + lane_of_warp(); d < begin + features; d += warp_size)
      dx[d] = from_float<T>((to_float(dy[d]) - to_float(y[d]) * along) * inverse);
  }
}

// Groups of `width` elements, each within one row.
template <int width, typename T>
__global__ void __launch_bounds__(block_size)
    scale_rows_kernel(const T* x, const float* factors, T* y, int64_t groups, int64_t row_groups) {
  for (GridCursor at(row_groups); at.element < groups; at.next()) {
    float values[width];
    load_group(x + at.element * width, values);
    for (int e = 0; e < width; ++e) values[e] *= factors[at.row];
    store_group(values, y + at.element * width);
  }
}

void normalize_rows(const Call& call) {
  const Shape& shape = call.in[0].shape;
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "normalize_rows", shape[0] * warp_size, normalize_kernel<T>, input<T>(call, 0),
           output<T>(call), output<float>(call, 1), shape[0], shape[1],
           static_cast<float>(call.attributes.as<NormalizeRows>().epsilon));
  });
}

void normalize_rows_gradient(const Call& call) {
  using Operand = operands::NormalizeRowsGradient;
  const Shape& shape = call.in[Operand::dy].shape;
  with_float(call.in[Operand::dy].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "normalize_rows_gradient", shape[0] * warp_size, normalize_gradient_kernel<T>,
           input<T>(call, Operand::dy), input<T>(call, Operand::y),
           input<float>(call, Operand::norms), output<T>(call), shape[0], shape[1],
           static_cast<float>(call.attributes.as<NormalizeRows>().epsilon));
  });
}

void scale_rows(const Call& call) {
  const int64_t size = call.in[0].shape.from(1).count();
  with_width(call, call.in[0].dtype, size, [&](auto type, auto width) {
    using T = decltype(type);
    const int64_t groups = call.out[0].count() / width();
    launch(call, "scale_rows", groups, scale_rows_kernel<width(), T>, input<T>(call, 0),
           input<float>(call, 1), output<T>(call), groups, size / width());
  });
}

void concatenate(const Call& call) {
  const View& y = call.out[0];
  auto* to = static_cast<char*>(y.data);
  for (const View& x : call.in) {
    const int64_t count = x.count();
    move_slice(call, "concatenate", x, {to, y.dtype, x.shape}, 1, {1, 1, count, 0});
    to += static_cast<size_t>(count) * size_of(y.dtype);
  }
}

void place_rows(const Call& call) {
  const Shape& x = call.in[0].shape;
  move_slice(
      call, "place_rows", call.in[0], call.out[0], 1,
      {x[0], call.out[0].shape[0], x.from(1).count(), -call.attributes.as<PlaceRows>().begin});
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"normalize_rows", {f32, bf16, f16}, normalize_rows},
    KernelEntry{"normalize_rows_gradient", {f32, bf16, f16}, normalize_rows_gradient},
    KernelEntry{"scale_rows", {f32, bf16, f16}, scale_rows},
    KernelEntry{"concatenate", {f64, f32, bf16, f16, i64}, concatenate},
    KernelEntry{"place_rows", {f32, bf16, f16, i64}, place_rows},
};

}  // namespace

std::span<const KernelEntry> rows_kernels() { return table; }

}  // namespace lacuna::cuda
