// Layouts for the library's convolutions; bound by memory. Each element is read once and written
// once: ResNet-50's filters (23 million) from f32 to bf16 140 MB, 42 us; a batch of 256 images of
// 224 x 224 from 3 channels to 8 in bf16 283 MB, 84 us.
#include "kernels/cuda/support/weights.h"

#include "kernels/cuda/support/columns.h"
#include "kernels/cuda/support/table.h"

namespace lacuna::cuda {

namespace {

// y [rows, columns] of x [x_rows, x_columns]: what x has there, zeros elsewhere. A thread writes
// `width` elements of a row at once.
template <int width, typename From, typename To>
__global__ void __launch_bounds__(block_size)
    resize_kernel(const From* x, int64_t x_rows, int64_t x_columns, To* y, int64_t rows,
                  int64_t columns) {
  const int64_t groups = columns / width;
  for (GridCursor at(groups); at.row < rows; at.next()) {
    const From* from = x + at.row * x_columns + at.column * width;
    const int64_t left = at.row < x_rows ? x_columns - at.column * width : 0;
    float values[width];
    for (int e = 0; e < width; ++e) values[e] = e < left ? to_float(from[e]) : 0.f;
    store_group(values, y + at.element * width);
  }
}

// A block's tile of one filter, by way of shared memory, so that neighbours read and write
// neighbours: taps up to 64 in one run of memory with their channels.
constexpr int tile_channels = 32, tile_taps = 64;

struct Filters {
  int64_t k, c, padded_k, padded_c;
  int64_t taps;
};

// The tiles of [filters, channels, taps], as the grid goes along them.
struct Tile {
  int64_t filter, channel, tap;  // first ones
  int channels, taps;            // as many as there are
  __device__ Tile(int64_t number, int64_t of_channels, int64_t of_taps) {
    const int64_t channel_tiles = (of_channels + tile_channels - 1) / tile_channels;
    const int64_t tap_tiles = (of_taps + tile_taps - 1) / tile_taps;
    tap = number % tap_tiles * tile_taps;
    channel = number / tap_tiles % channel_tiles * tile_channels;
    filter = number / tap_tiles / channel_tiles;
    channels = static_cast<int>(std::min<int64_t>(tile_channels, of_channels - channel));
    taps = static_cast<int>(std::min<int64_t>(tile_taps, of_taps - tap));
  }
  static int64_t count(int64_t filters, int64_t of_channels, int64_t of_taps) {
    return filters * ((of_channels + tile_channels - 1) / tile_channels) *
           ((of_taps + tile_taps - 1) / tile_taps);
  }
};

using Buffer = float[tile_taps][tile_channels + 1];

// Calls f(channel, tap) for a tile's elements, neighbouring threads along the taps.
template <typename F>
__device__ void along_taps(const Tile& tile, int channels, F f) {
  for (int e = static_cast<int>(threadIdx.x); e < channels * tile.taps; e += block_size)
    f(e / tile.taps, e % tile.taps);
}
// The same, neighbouring threads along the channels.
template <typename F>
__device__ void along_channels(const Tile& tile, F f) {
  const int channel = static_cast<int>(threadIdx.x) % tile_channels;
  if (channel >= tile.channels) return;
  for (int tap = static_cast<int>(threadIdx.x) / tile_channels; tap < tile.taps;
       tap += block_size / tile_channels)
    f(channel, tap);
}

template <typename From, typename To>
__global__ void __launch_bounds__(block_size)
    to_channels_last_kernel(const From* x, To* y, Filters sizes, int64_t tiles) {
  __shared__ Buffer buffer;
  for (int64_t number = blockIdx.x; number < tiles; number += gridDim.x) {
    const Tile tile(number, sizes.padded_c, sizes.taps);
    const bool there = tile.filter < sizes.k && tile.channel < sizes.c;
    const int channels =
        there ? static_cast<int>(std::min<int64_t>(tile.channels, sizes.c - tile.channel)) : 0;
    const From* from = x + (tile.filter * sizes.c + tile.channel) * sizes.taps + tile.tap;
    __syncthreads();  // what was read of the buffer before
    along_taps(tile, channels, [&](int channel, int tap) {
      buffer[tap][channel] = to_float(from[channel * sizes.taps + tap]);
    });
    __syncthreads();
    To* to = y + (tile.filter * sizes.taps + tile.tap) * sizes.padded_c + tile.channel;
    along_channels(tile, [&](int channel, int tap) {
      to[tap * sizes.padded_c + channel] =
          from_float<To>(channel < channels ? buffer[tap][channel] : 0.f);
    });
  }
}

template <typename From, typename To>
__global__ void __launch_bounds__(block_size)
    from_channels_last_kernel(const From* x, To* y, Filters sizes, int64_t tiles) {
  __shared__ Buffer buffer;
  for (int64_t number = blockIdx.x; number < tiles; number += gridDim.x) {
    const Tile tile(number, sizes.c, sizes.taps);
    const From* from = x + (tile.filter * sizes.taps + tile.tap) * sizes.padded_c + tile.channel;
    __syncthreads();  // what was read of the buffer before
    along_channels(tile, [&](int channel, int tap) {
      buffer[tap][channel] = to_float(from[tap * sizes.padded_c + channel]);
    });
    __syncthreads();
    To* to = y + (tile.filter * sizes.c + tile.channel) * sizes.taps + tile.tap;
    along_taps(tile, tile.channels, [&](int channel, int tap) {
      to[channel * sizes.taps + tap] = from_float<To>(buffer[tap][channel]);
    });
  }
}

// Calls f(From{}, To{}): at least one of them is f32, or both are the same.
template <typename F>
void with_floats(DType from, DType to, F f) {
  LACUNA_CHECK(from == to || from == DType::f32 || to == DType::f32, name_of(from), name_of(to));
  with_float(from, [&](auto x) {
    with_float(to, [&](auto y) {
      using From = decltype(x);
      using To = decltype(y);
      if constexpr (sizeof(From) != sizeof(To) || std::is_same_v<From, To>) f(x, y);
    });
  });
}

struct Matrix {
  void* data;
  DType dtype;
  int64_t rows, columns;
};

void resize(const Call& call, const char* operation, const Matrix& x, const Matrix& y) {
  if (x.columns == y.columns && x.rows >= y.rows)
    return convert(call, x.data, x.dtype, y.data, y.dtype, y.rows * y.columns);
  with_floats(x.dtype, y.dtype, [&](auto from, auto to) {
    using From = decltype(from);
    using To = decltype(to);
    const auto with = [&](auto width) {
      launch(call, operation, y.rows * y.columns / width(), resize_kernel<width(), From, To>,
             static_cast<const From*>(x.data), x.rows, x.columns, static_cast<To*>(y.data), y.rows,
             y.columns);
    };
    constexpr int most = Pack<To>::size;
    if (y.columns % most == 0 && reinterpret_cast<uintptr_t>(y.data) % 16 == 0) {
      with(std::integral_constant<int, most>());
    } else {
      with(std::integral_constant<int, 1>());
    }
  });
}

// What is only read goes where matrices and views have places for both.
void* unchanged(const void* x) { return const_cast<void*>(x); }

unsigned blocks_of(const Call& call, int64_t tiles) {
  return static_cast<unsigned>(std::min(tiles, context_of(call).blocks()));
}

}  // namespace

void to_channels_last(const Call& call, const void* weights, DType from, void* to, DType to_type,
                      int64_t k, int64_t c, int64_t taps, int64_t padded_k, int64_t padded_c) {
  if (taps == 1)
    return resize(call, "to_channels_last", {unchanged(weights), from, k, c},
                  {to, to_type, padded_k, padded_c});
  const int64_t tiles = Tile::count(padded_k, padded_c, taps);
  if (tiles == 0) return;
  with_floats(from, to_type, [&](auto x, auto y) {
    using From = decltype(x);
    using To = decltype(y);
    launch_grid(call, "to_channels_last", dim3(blocks_of(call, tiles)),
                to_channels_last_kernel<From, To>, static_cast<const From*>(weights),
                static_cast<To*>(to), Filters{k, c, padded_k, padded_c, taps}, tiles);
  });
}

void from_channels_last(const Call& call, const void* gradient, DType from, void* to, DType to_type,
                        int64_t k, int64_t c, int64_t taps, int64_t padded_k, int64_t padded_c) {
  if (taps == 1)
    return resize(call, "from_channels_last", {unchanged(gradient), from, padded_k, padded_c},
                  {to, to_type, k, c});
  const int64_t tiles = Tile::count(k, c, taps);
  if (tiles == 0) return;
  with_floats(from, to_type, [&](auto x, auto y) {
    using From = decltype(x);
    using To = decltype(y);
    launch_grid(call, "from_channels_last", dim3(blocks_of(call, tiles)),
                from_channels_last_kernel<From, To>, static_cast<const From*>(gradient),
                static_cast<To*>(to), Filters{k, c, padded_k, padded_c, taps}, tiles);
  });
}

void pad_channels(const Call& call, const void* x, void* y, DType dtype, int64_t rows, int64_t c,
                  int64_t padded_c) {
  resize(call, "pad_channels", {unchanged(x), dtype, rows, c}, {y, dtype, rows, padded_c});
}

void drop_channels(const Call& call, const void* x, void* y, DType dtype, int64_t rows, int64_t c,
                   int64_t padded_c) {
  resize(call, "drop_channels", {unchanged(x), dtype, rows, padded_c}, {y, dtype, rows, c});
}

void convert(const Call& call, const void* x, DType from, void* y, DType to, int64_t count) {
  const View in[] = {{unchanged(x), from, Shape{count}}};
  const View out[] = {{y, to, Shape{count}}};
  find_kernel(cuda_kernels(), "cast", from)({in, out, {}, call.context});
}

}  // namespace lacuna::cuda
