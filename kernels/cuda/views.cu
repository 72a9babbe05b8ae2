// Views of images. Bound by memory: a sample is read once (its box), the view as float is written
// and read once, four times where it is blurred, and the result written: 256 views of 224x224x3 in
// bf16, 1.1 GB, 0.33 ms at 3.35 TB/s.
//
// A contrast needs the mean grey of its whole view, so what comes before it and what comes after
// are two kernels; so are the two directions of a blur. Results of pixels are the host's but for a
// few roundings.
#include "kernels/views.h"

#include <array>

#include "base/random.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// Which positions of the box make an element of the view.
struct alignas(8) Taps {
  int first, count;
};

// Sizes, and what lies in scratch.
struct Views {
  const ViewDraws* draws;  // [batch]
  int64_t batch;
  int height, width, out_height, out_width;
  int chunks;      // that the pixels of a view are divided in, for their sums
  int most;        // taps of any element
  Taps* taps;      // [batch, out_height + out_width]: first and count
  float* weights;  // [batch, out_height + out_width, most]
  double* sums;    // [batch, chunks] of grey
  float* work;     // [batch, out_height, out_width, C]
  float* blurred;  // the same, along the height

  __host__ __device__ int64_t pixels() const { return int64_t{out_height} * out_width; }
  __host__ __device__ int elements() const { return out_height + out_width; }
};

constexpr int max_chunks = 64;
constexpr int pixels_of_chunk = 8 * block_size;

// The triangle filter of `in` positions resized to `out`, for each element of both axes; as
// src/augment/image/geometry.cpp.
__global__ void __launch_bounds__(block_size) taps_kernel(Views views) {
  for (GridCursor at(views.elements()); at.element < views.batch * views.elements(); at.next()) {
    const CropPlacement& box = views.draws[at.row].box;
    const bool column = at.column >= views.out_height;
    const auto in = static_cast<double>(column ? box.width : box.height);
    const int out = column ? views.out_width : views.out_height;
    const int to = static_cast<int>(at.column) - (column ? views.out_height : 0);
    const bool mirrored = column ? box.flip_x : box.flip_y;
    const double scale = in / out;
    const double support = fmax(scale, 1.0);
    const double centre = scale * ((mirrored ? out - 1 - to : to) + 0.5) - 0.5;
    double first = fmax(ceil(centre - support), 0.0);
    double last = fmin(floor(centre + support), in - 1);
    const auto weight = [&](double i) { return support - fabs(i - centre); };
    while (first < last && weight(first) <= 0) first += 1;
    while (first < last && weight(last) <= 0) last -= 1;
    double sum = 0;
    for (double i = first; i <= last; i += 1) sum += weight(i);
    float* weights = views.weights + at.element * views.most;
    const int count = static_cast<int>(last - first) + 1;
    for (int k = 0; k < count; ++k)
      weights[k] = count == 1 ? 1.f : static_cast<float>(weight(first + k) / sum);
    views.taps[at.element] = {static_cast<int>(first), count};
  }
}

__device__ float clamped(float x) { return fminf(fmaxf(x, 0.f), 1.f); }

template <int C>
__device__ float grey(const float (&v)[C]) {
  if constexpr (C == 3) return fmaf(v[2], 0.114f, fmaf(v[1], 0.587f, v[0] * 0.2989f));
  float sum = v[0];
#pragma unroll
  for (int c = 1; c < C; ++c) sum += v[c];
  return sum * (1.f / C);
}

__device__ float hue_channel(float hue, float offset, float value, float chroma) {
  const float shifted = hue + offset;
  const float k = fmaf(-floorf(shifted * (1.f / 6.f)), 6.f, shifted);
  return fmaf(-chroma, clamped(fminf(k, 4.f - k)), value);
}

template <int C>
__device__ void turn_hue(float (&v)[C], float turn) {
  if constexpr (C == 3) {
    const float value = fmaxf(v[0], fmaxf(v[1], v[2]));
    const float chroma = value - fminf(v[0], fminf(v[1], v[2]));
    const bool red = value == v[0], green = value == v[1];
    const float difference = red ? v[1] - v[2] : green ? v[2] - v[0] : v[0] - v[1];
    const float sextant = red ? 0.f : green ? 2.f : 4.f;
    const float hue = difference / (chroma == 0.f ? 1.f : chroma) + sextant + turn * 6.f;
    v[0] = hue_channel(hue, 5.f, value, chroma);
    v[1] = hue_channel(hue, 3.f, value, chroma);
    v[2] = hue_channel(hue, 1.f, value, chroma);
  }
}

// v * factor + base * (1 - factor)
template <int C>
__device__ void blend(float (&v)[C], float base, float factor) {
#pragma unroll
  for (int c = 0; c < C; ++c) v[c] = clamped(fmaf(v[c], factor, base * (1.f - factor)));
}

// The steps of the jitter before the contrast, or from it on; `mean`: grey of the view.
template <int C>
__device__ void jitter(float (&v)[C], const ViewDraws& drawn, bool after, float mean) {
  bool reached = false;
  for (int i = 0; i < 4; ++i) {
    const ViewDraws::Jitter which = drawn.jitter[i];
    reached = reached || which == ViewDraws::contrast;
    if (which == ViewDraws::none || reached != after) continue;
    const float factor = drawn.factors[i];
    if (which == ViewDraws::hue) {
      turn_hue(v, factor);
    } else {
      blend(v,
            which == ViewDraws::contrast     ? mean
            : which == ViewDraws::saturation ? grey(v)
                                             : 0.f,
            factor);
    }
  }
}

template <int C>
__device__ void load(float (&v)[C], const float* from) {
#pragma unroll
  for (int c = 0; c < C; ++c) v[c] = from[c];
}
template <int C>
__device__ void store(const float (&v)[C], float* to) {
#pragma unroll
  for (int c = 0; c < C; ++c) to[c] = v[c];
}

// Stored numbers as values in [0, 1]: bytes by a table of all 256, as on the host.
struct Range {
  float low, scale;
  const float* table;

  __device__ float operator()(uint8_t x) const { return table[x]; }
  template <typename T>
  __device__ float operator()(T x) const {
    return clamped((static_cast<float>(x) - low) * scale);
  }
};

// Rows first, then columns, as on the host.
template <int C, typename Stored>
__device__ void resample(float (&v)[C], const Views& views, const Stored* sample, int64_t row,
                         int y, int x, const Range& value) {
  const CropPlacement& box = views.draws[row].box;
  const int64_t first = row * views.elements();
  const int64_t by_row = first + y, by_column = first + views.out_height + x;
  const Taps rows = views.taps[by_row], columns = views.taps[by_column];
  const float* row_weights = views.weights + by_row * views.most;
  const float* column_weights = views.weights + by_column * views.most;
#pragma unroll
  for (int c = 0; c < C; ++c) v[c] = 0;
  for (int j = 0; j < columns.count; ++j) {
    float sum[C] = {};
    const Stored* at = sample + ((row * views.height + box.top + rows.first) * views.width +
                                 box.left + columns.first + j) *
                                    C;
    for (int i = 0; i < rows.count; ++i, at += int64_t{views.width} * C) {
#pragma unroll
      for (int c = 0; c < C; ++c) sum[c] = fmaf(row_weights[i], value(at[c]), sum[c]);
    }
#pragma unroll
    for (int c = 0; c < C; ++c) v[c] = fmaf(column_weights[j], sum[c], v[c]);
  }
}

// From the sample to what a contrast begins with, and its grey.
template <int C, typename Stored>
__global__ void __launch_bounds__(block_size, 4)  // fewer registers would spill
    place_kernel(Views views, const Stored* samples, double low, double high) {
  __shared__ float table[256];
  for (int byte = static_cast<int>(threadIdx.x); byte < 256; byte += block_size)
    table[byte] = static_cast<float>(fmin(fmax((byte - low) / (high - low), 0.0), 1.0));
  __syncthreads();
  const Range value{static_cast<float>(low), static_cast<float>(1 / (high - low)), table};
  for (int64_t row = blockIdx.y; row < views.batch; row += gridDim.y) {
    const ViewDraws& drawn = views.draws[row];
    double sum = 0;
    for (int64_t p = first_of_grid(); p < views.pixels(); p += threads_of_grid()) {
      float v[C];
      const int y = static_cast<int>(p / views.out_width);
      resample<C>(v, views, samples, row, y, static_cast<int>(p - int64_t{y} * views.out_width),
                  value);
      jitter<C>(v, drawn, false, 0);
      store<C>(v, views.work + (row * views.pixels() + p) * C);
      sum += static_cast<double>(grey<C>(v));
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) views.sums[row * views.chunks + blockIdx.x] = sum;
  }
}

// The normal draw of a value: see the places in src/augment/image/blur_noise.cpp.
__device__ float normal_of(const ViewDraws& drawn, int64_t place) {
  const auto words =
      philox({drawn.noise_counter[0] + static_cast<uint32_t>(place / 64 * 16 + place % 16),
              drawn.noise_counter[1], drawn.noise_counter[2], drawn.noise_counter[3]},
             {drawn.noise_key[0], drawn.noise_key[1]});
  const int number = static_cast<int>(place % 64 / 16);
  const uint32_t a = number < 2 ? words[0] : words[2];
  const uint32_t b = number < 2 ? words[1] : words[3];
  const float u = fmaf(static_cast<float>(a >> 9), 0x1p-23f, 0x1p-24f);
  const float half_turns = static_cast<float>(b >> 8) * 0x1p-23f;
  const float radius = sqrtf(-2.f * logf(u));
  return radius * (number % 2 == 0 ? cospif(half_turns) : sinpif(half_turns));
}

// What follows a blur, and the view's place in the batch.
template <int C, typename T>
__device__ void finish(float (&v)[C], const Views& views, const ViewAttributes& a, int64_t row,
                       int y, int x, T* out) {
  const ViewDraws& drawn = views.draws[row];
  const int stride = (views.out_height + 15) / 16 * 16;
  const int64_t at =
      drawn.box.transposed ? int64_t{x} * views.out_height + y : int64_t{y} * views.out_width + x;
  out += (row * views.pixels() + at) * C;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    float value = v[c];
    if (drawn.solarise && value >= static_cast<float>(a.solarise_threshold)) value = 1.f - value;
    if (drawn.noise) {
      const float normal = normal_of(drawn, (int64_t{x} * C + c) * stride + y);
      value = clamped(fmaf(normal, drawn.noise_sigma, value));
    }
    if (drawn.dropped == c) value = a.mean[c];
    out[c] = from_float<T>((value - a.mean[c]) * a.inverse_std[c]);
  }
}

// From a contrast on: to the end, or to what a blur begins with.
template <int C, typename T>
__global__ void __launch_bounds__(block_size) colour_kernel(Views views, ViewAttributes a, T* out) {
  for (int64_t row = blockIdx.y; row < views.batch; row += gridDim.y) {
    const ViewDraws& drawn = views.draws[row];
    double sum = 0;
    for (int chunk = 0; chunk < views.chunks; ++chunk)
      sum += views.sums[row * views.chunks + chunk];
    const auto mean = static_cast<float>(sum / static_cast<double>(views.pixels()));
    for (int64_t p = first_of_grid(); p < views.pixels(); p += threads_of_grid()) {
      float v[C];
      float* at = views.work + (row * views.pixels() + p) * C;
      load<C>(v, at);
      jitter<C>(v, drawn, true, mean);
      if (drawn.grey) {
        const float g = grey<C>(v);
#pragma unroll
        for (int c = 0; c < C; ++c) v[c] = g;
      }
      if (drawn.blur > 0) {
        store<C>(v, at);
      } else {
        const int y = static_cast<int>(p / views.out_width);
        finish<C>(v, views, a, row, y, static_cast<int>(p - int64_t{y} * views.out_width), out);
      }
    }
  }
}

constexpr int max_radius = 127;  // as src/augment/image/blur_noise.h

// The weights 0, …, reach of a blur, of sum 1 with both sides; all threads call it.
__device__ int blur_weights(double sigma, int radius, float* weights) {
  // exp(-5.67^2 / 2) is 1e-7: less is left out.
  const int reach = static_cast<int>(fmin(static_cast<double>(radius), 5.67 * sigma));
  const auto value = [&](int k) { return exp(-0.5 * (k / sigma) * (k / sigma)); };
  double sum = 1;
  for (int k = 1; k <= reach; ++k) sum += 2 * value(k);
  __syncthreads();  // who still reads those of the view before
  for (int k = static_cast<int>(threadIdx.x); k <= reach; k += block_size)
    weights[k] = static_cast<float>(value(k) / sum);
  __syncthreads();
  return reach;
}

__device__ int reflected(int at, int n) {
  at = at < 0 ? -at : at;
  return at < n ? at : 2 * n - 2 - at;
}

__global__ void __launch_bounds__(block_size, 4)
    blur_height_kernel(Views views, int radius, int channels) {
  __shared__ float weights[max_radius + 1];
  const int64_t line = int64_t{views.out_width} * channels;
  for (int64_t row = blockIdx.y; row < views.batch; row += gridDim.y) {
    const double sigma = views.draws[row].blur;
    if (sigma <= 0) continue;
    const int reach = blur_weights(sigma, radius, weights);
    const float* from = views.work + row * views.pixels() * channels;
    float* to = views.blurred + row * views.pixels() * channels;
    for (int64_t e = first_of_grid(); e < views.pixels() * channels; e += threads_of_grid()) {
      const int y = static_cast<int>(e / line);
      const int64_t column = e - y * line;
      float sum = weights[0] * from[e];
      for (int k = 1; k <= reach; ++k)
        sum = fmaf(weights[k],
                   from[reflected(y - k, views.out_height) * line + column] +
                       from[reflected(y + k, views.out_height) * line + column],
                   sum);
      to[e] = sum;
    }
  }
}

template <int C, typename T>
__global__ void __launch_bounds__(block_size)
    blur_width_kernel(Views views, ViewAttributes a, T* out) {
  __shared__ float weights[max_radius + 1];
  for (int64_t row = blockIdx.y; row < views.batch; row += gridDim.y) {
    const double sigma = views.draws[row].blur;
    if (sigma <= 0) continue;
    const int reach = blur_weights(sigma, static_cast<int>(a.blur_radius), weights);
    for (int64_t p = first_of_grid(); p < views.pixels(); p += threads_of_grid()) {
      const int y = static_cast<int>(p / views.out_width);
      const int x = static_cast<int>(p - int64_t{y} * views.out_width);
      const float* from = views.blurred + (row * views.pixels() + p - x) * C;
      float v[C];
#pragma unroll
      for (int c = 0; c < C; ++c) v[c] = weights[0] * from[x * C + c];
      for (int k = 1; k <= reach; ++k) {
        const int left = reflected(x - k, views.out_width) * C;
        const int right = reflected(x + k, views.out_width) * C;
#pragma unroll
        for (int c = 0; c < C; ++c) v[c] = fmaf(weights[k], from[left + c] + from[right + c], v[c]);
      }
      finish<C>(v, views, a, row, y, x, out);
    }
  }
}

// Sizes, and scratch for them.
Views lay_out(const Call& call, const ViewAttributes& a) {
  const Shape& in = call.in[0].shape;
  const Shape& out = call.out[0].shape;
  Views views{};
  views.draws = static_cast<const ViewDraws*>(call.in[1].data);
  views.batch = in[0];
  views.height = static_cast<int>(in[1]);
  views.width = static_cast<int>(in[2]);
  views.out_height = static_cast<int>(out[1]);
  views.out_width = static_cast<int>(out[2]);
  views.chunks =
      static_cast<int>(std::clamp<int64_t>(views.pixels() / pixels_of_chunk, 1, max_chunks));
  const auto most_of = [](int64_t from, int64_t to) { return 2 * ((from + to - 1) / to) + 1; };
  views.most = static_cast<int>(std::max(most_of(in[1], out[1]), most_of(in[2], out[2])));
  size_t end = 0;
  const auto place = [&](int64_t count, size_t size) {
    const size_t at = end;
    end += (static_cast<size_t>(count) * size + 255) / 256 * 256;
    return at;
  };
  const int64_t elements = views.batch * views.elements();
  const int64_t values = views.batch * views.pixels() * in[3];
  const size_t sums = place(views.batch * views.chunks, sizeof(double));
  const size_t taps = place(elements, sizeof(Taps));
  const size_t weights = place(elements * views.most, sizeof(float));
  const size_t work = place(values, sizeof(float));
  const size_t blurred = place(a.blur_radius > 0 ? values : 0, sizeof(float));
  char* scratch = static_cast<char*>(call.context.scratch(end));
  views.sums = reinterpret_cast<double*>(scratch + sums);
  views.taps = reinterpret_cast<Taps*>(scratch + taps);
  views.weights = reinterpret_cast<float*>(scratch + weights);
  views.work = reinterpret_cast<float*>(scratch + work);
  if (a.blur_radius > 0) views.blurred = reinterpret_cast<float*>(scratch + blurred);
  return views;
}

template <int C, typename Stored, typename T>
void make(const Call& call) {
  const auto a = call.attributes.as<ViewAttributes>();
  const Views views = lay_out(call, a);
  T* out = output<T>(call);
  const char* name = "make_views";
  const dim3 grid(static_cast<unsigned>(views.chunks),
                  static_cast<unsigned>(std::min<int64_t>(views.batch, 65535)));
  launch(call, name, views.batch * views.elements(), taps_kernel, views);
  launch_grid(call, name, grid, place_kernel<C, Stored>, views, input<Stored>(call, 0), a.low,
              a.high);
  launch_grid(call, name, grid, colour_kernel<C, T>, views, a, out);
  if (a.blur_radius == 0) return;
  launch_grid(call, name, grid, blur_height_kernel, views, static_cast<int>(a.blur_radius), C);
  launch_grid(call, name, grid, blur_width_kernel<C, T>, views, a, out);
}

// Calls f(std::integral_constant<int, C>).
template <typename F>
void with_channels(int64_t channels, F f) {
  switch (channels) {
    case 1:
      return f(std::integral_constant<int, 1>());
    case 2:
      return f(std::integral_constant<int, 2>());
    case 3:
      return f(std::integral_constant<int, 3>());
    case 4:
      return f(std::integral_constant<int, 4>());
    default:
      LACUNA_CHECK(false, channels, " channels of a view");
  }
}

void make_views(const Call& call) {
  if (call.out[0].count() == 0) return;
  with_channels(call.in[0].shape[3], [&](auto channels) {
    with_float(call.out[0].dtype, [&](auto type) {
      using T = decltype(type);
      switch (call.in[0].dtype) {
        case DType::u8:
          return make<channels(), uint8_t, T>(call);
        case DType::u16:
          return make<channels(), uint16_t, T>(call);
        default:
          return make<channels(), int16_t, T>(call);
      }
    });
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"make_views", {u8, u16, i16}, make_views},
};

}  // namespace

std::span<const KernelEntry> views_kernels() { return table; }

}  // namespace lacuna::cuda
