// y = A^T ((G g G^T) . (B^T d B)) A for each tile d of n x n pixels, n = m + 2 for m x m outputs:
// n^2 products of matrices [tiles, C] x [C, K], between a transform of x and one of the products.
//
// FLOPs: 2 n^2 C K a tile, so 2 (n / m)^2 C K an output pixel (F(2x2) 8, F(4x4) 4.5, where the
// definition has 18); the transforms add about 25 (C + K) (F(2x2)) and 17 (C + K) (F(4x4)). Bytes:
// 4 (C + K) a pixel of memory, written past the caches; of the second level of cache, which holds a
// block of tiles, 16 (n / m)^2 (C + K) a pixel; the transformed weights, 4 n^2 C K, once for each
// block. Floor: the FLOPs at the rate of the vector units, so 1 / 2.25 and 1 / 4 of the
// definition's time.
//
// What bounds it, on a core of an Emerald Rapids (AVX-512, 174 GFLOP/s): the products run at 0.9 to
// 0.97 of that rate. Transforms take 38 % of the time at 64 channels, 25 % at 128 and 10 % at 512:
// twice as long as their instructions, since what they write and read lies in the second level of
// cache (260 cycles for 36 vectors, 130 if it lay in the first). The weights of 512 channels take
// 15 % of the time of 256 tiles. In all 0.58 (64 channels) to 0.78 (256) of the floor.
//
// Tried without gain: fetching the pixels of the next block ahead, between the products (what the
// transform gains, the products lose). With gain: weights in the order in which they are read, and
// fetched ahead (1.1 times as fast at 128 channels, 1.4 at 512); outputs past the caches (1.15 at
// 128 channels).
#include "kernels/cpu/support/winograd.h"

#include <algorithm>

#include "kernels/cpu/support/parallel.h"
#include "kernels/cpu/support/winograd_sizes.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/support/winograd.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>

#include "kernels/cpu/support/simd.h"
#include "kernels/cpu/support/winograd_product.h"
#include "kernels/cpu/support/winograd_tiles.h"
#include "kernels/cpu/support/winograd_transforms.h"

#ifndef LACUNA_KERNELS_CPU_WINOGRAD_ONCE
#define LACUNA_KERNELS_CPU_WINOGRAD_ONCE
namespace lacuna::cpu {

// Where everything lies, in floats. A tile's positions lie behind each other (so that transforms
// write and read one piece of memory), and one more before them: products of position p go where
// inputs of position p - 1 were.
struct ForwardLayout {
  ForwardLayout(const WinogradSizes& sizes, int m)
      : positions((m + 2) * (m + 2)),
        columns(whole_lines(sizes.out_channels)),
        weights_position(sizes.in_channels * columns + line),
        slot(std::max(whole_lines(sizes.in_channels), columns)),
        tile((positions + 1) * slot + line),
        tiles(tiles_of(sizes, m)),
        block(std::clamp(block_bytes / static_cast<int64_t>(sizeof(float)) / tile / rows * rows,
                         least_block, most_block)) {}
  int64_t weights_floats() const { return positions * weights_position; }
  int64_t zeros_floats(const WinogradSizes& sizes) const {
    return whole_lines(6 * sizes.in_channels);
  }
  // Rows of the products' register blocks.
  static constexpr int64_t rows = 6;
  // Tiles that are worked on together: few, to stay in the second level of cache, but so many that
  // the weights of many channels, which do not, are worth reading.
  static constexpr int64_t block_bytes = 640 << 10, least_block = 11 * rows, most_block = 22 * rows;
  // Channels whose weights stay in the first level of cache while a panel of columns is made.
  static constexpr int64_t steps = 128;
  int64_t positions, columns, weights_position, slot, tile, tiles, block;
};

struct Forward {
  WinogradTile tile;
  const WinogradSizes& sizes;
  const ForwardLayout& layout;
  const float* x;
  const WinogradWeights& w;
  const float* bias;
  float* y;
  float* weights;      // transformed
  const float* zeros;  // of a row of a tile
  bool stream;         // y past the caches
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// The transformed weights of position p: [steps][panel][step][columns of the panel].
template <int m>
HWY_INLINE void transform_weights(const Forward& f, int64_t begin, int64_t end) {
  constexpr int n = m + 2;
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const hn::Rebind<int32_t, decltype(d)> di;
  const int64_t channels = f.sizes.in_channels;
  const int64_t last = f.sizes.out_channels - 1;
  for (int64_t o = begin * vector_floats; o < end * vector_floats; o += vector_floats) {
    // Columns behind the last repeat it: what becomes of them is not used.
    HWY_ALIGN int32_t index[vector_floats];
    for (int lane = 0; lane < vector_floats; ++lane) {
      const int64_t column = std::min(o + lane, last) - std::min(o, last);
      index[lane] = static_cast<int32_t>(column * f.w.out_stride);
    }
    const auto indices = hn::Load(di, index);
    const int64_t panel = o / panel_columns * panel_columns;
    const int64_t width = std::min<int64_t>(panel_columns, f.layout.columns - panel);
    const float* from = f.w.data + std::min(o, last) * f.w.out_stride;
    for (int64_t c = 0; c < channels; ++c, from += f.w.in_stride) {
      const int64_t first = c / ForwardLayout::steps * ForwardLayout::steps;
      const int64_t steps = std::min(ForwardLayout::steps, channels - first);
      float* to =
          f.weights + first * f.layout.columns + panel * steps + (c - first) * width + (o - panel);
      const auto load = [&](int j, V(&v)[n]) HWY_ATTR {
        unrolled<3>([&](auto i) HWY_ATTR {
          const int at = static_cast<int>(i) * 3 + j;
          v[i] = hn::GatherIndex(d, from + (f.w.turned ? 8 - at : at), indices);
        });
      };
      transform<n, 3, n>(d, WeightAxis(), 0, n, load, [&](int i, const V(&v)[n]) HWY_ATTR {
        unrolled<n>([&](auto j) HWY_ATTR {
          hn::StoreU(v[j], d, to + (i * n + static_cast<int>(j)) * f.layout.weights_position);
        });
      });
    }
  }
}

// memory: of `tiles` tiles.
HWY_INLINE void multiply_tiles(const Forward& f, float* memory, int64_t tiles) {
  const ForwardLayout& l = f.layout;
  const int64_t channels = f.sizes.in_channels;
  for (int64_t position = 0; position < l.positions; ++position) {
    const float* weights = f.weights + position * l.weights_position;
    float* out = memory + position * l.slot;
    for (int64_t step = 0; step < channels; step += ForwardLayout::steps) {
      for (int64_t column = 0; column < l.columns; column += panel_columns) {
        const int64_t width = std::min<int64_t>(panel_columns, l.columns - column);
        const int64_t steps = std::min(ForwardLayout::steps, channels - step);
        const float* b = weights + step * l.columns + column * steps;
        multiply_panel<false>({.a = out + l.slot + step,
                               .a_row = l.tile,
                               .a_step = 1,
                               .b = b,
                               .b_step = width,
                               .out = out + column,
                               .out_row = l.tile,
                               .steps = steps,
                               .add = step > 0,
                               .ahead = b + steps * width},
                              tiles, width);
      }
    }
  }
}

template <int m>
HWY_INLINE void convolve_tiles(const Forward& f, int64_t begin, int64_t end, float* memory) {
  constexpr int n = m + 2;
  const ForwardLayout& l = f.layout;
  const WinogradSizes& s = f.sizes;
  const Tiles grid(s, m);
  const Images<const float> x{f.x, s.in[0], s.in[1], s.in_channels};
  const Images<float> y{f.y, s.out[0], s.out[1], s.out_channels};
  // Blocks of about equal size.
  const int64_t blocks = divided_up(end - begin, l.block);
  const int64_t size = divided_up(end - begin, blocks * l.rows) * l.rows;
  for (int64_t first = begin; first < end; first += size) {
    const int64_t count = std::min(size, end - first);
    for (int64_t t = 0; t < count; ++t)
      transform_patch<n, n>(InputAxis(), x, grid.patch(first + t, s.padding[0], s.padding[1]),
                            f.zeros, 0, s.in_channels, 0, n, memory + t * l.tile + l.slot, l.slot);
    multiply_tiles(f, memory, count);
    for (int64_t t = 0; t < count; ++t)
      write_patch<n, m>(memory + t * l.tile, l.slot, f.bias, y, grid.patch(first + t, 0, 0),
                        f.stream);
  }
  hwy::FlushStream();
}

int64_t weight_vectors(const Forward& f) { return f.layout.columns / vector_floats; }

void weights(const Forward& f, int64_t begin, int64_t end) {
  if (f.tile == WinogradTile::two)
    transform_weights<2>(f, begin, end);
  else
    transform_weights<4>(f, begin, end);
}

void tiles(const Forward& f, int64_t begin, int64_t end, float* memory) {
  if (f.tile == WinogradTile::two)
    convolve_tiles<2>(f, begin, end, memory);
  else
    convolve_tiles<4>(f, begin, end, memory);
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lacuna::cpu {

HWY_EXPORT(weight_vectors);
HWY_EXPORT(weights);
HWY_EXPORT(tiles);

void winograd_convolution(CpuContext& context, WinogradTile tile, const WinogradSizes& sizes,
                          const float* x, const WinogradWeights& w, const float* bias, float* y) {
  const ForwardLayout layout(sizes, static_cast<int>(tile));
  const int threads = context.threads();
  const int64_t rows = ForwardLayout::rows;
  const int64_t groups = divided_up(layout.tiles, rows);
  const int parts =
      parts_of(threads, groups, grain_of(rows * layout.tile * static_cast<int64_t>(sizeof(float))));
  const int64_t of_part = layout.block * layout.tile;
  auto* weights = static_cast<float*>(context.scratch(
      sizeof(float) *
      static_cast<size_t>(layout.weights_floats() + layout.zeros_floats(sizes) + parts * of_part)));
  float* zeros = weights + layout.weights_floats();
  std::fill_n(zeros, layout.zeros_floats(sizes), 0.0f);
  float* blocks = zeros + layout.zeros_floats(sizes);
  const bool stream = sizes.out_channels % line == 0 && reinterpret_cast<uintptr_t>(y) % 64 == 0;
  const Forward f{tile, sizes, layout, x, w, bias, y, weights, zeros, stream};
  const int64_t vectors = HWY_DYNAMIC_DISPATCH(weight_vectors)(f);
  for_ranges(threads, vectors, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(weights)(f, begin, end);
  });
  for_parts(parts, [&](int part) {
    HWY_DYNAMIC_DISPATCH(tiles)
    (f, std::min(rows * part_begin(groups, part, parts), layout.tiles),
     std::min(rows * part_begin(groups, part + 1, parts), layout.tiles), blocks + part * of_part);
  });
}

}  // namespace lacuna::cpu

#endif
