// dw = G^T (sum over tiles of (B^T d B) . (A dy A^T)) G, of tiles d of n x n pixels of x and of m x
// m pixels of dy, n = m + 2: n^2 products of matrices [C, tiles] x [tiles, K], behind a transform
// of x and one of dy.
//
// FLOPs and bytes are those of the convolution (winograd.cpp), and so is the floor. Here the sums,
// 4 n^2 C K bytes, are what must stay in the second level of cache; so channels are cut into blocks
// of 128, and the positions of many channels into groups. What that costs is that tiles are
// transformed more often: x once for each block of K, dy once for each block of C.
//
// What bounds it, on a core of an Emerald Rapids (AVX-512, 174 GFLOP/s): the products run at 0.8 to
// 0.87 of the vector units' rate and take 50 to 60 % of the time, transforms 30 to 36 %, the
// transform of the sums and their addition 2 % at 64 channels and 20 % at 512. In all 0.42 (512
// channels) to 0.53 (128) of the floor.
#include <algorithm>

#include "kernels/cpu/support/parallel.h"
#include "kernels/cpu/support/winograd.h"
#include "kernels/cpu/support/winograd_sizes.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/support/winograd_gradient.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"
#include "kernels/cpu/support/winograd_product.h"
#include "kernels/cpu/support/winograd_tiles.h"
#include "kernels/cpu/support/winograd_transforms.h"

#ifndef LACUNA_KERNELS_CPU_WINOGRAD_GRADIENT_ONCE
#define LACUNA_KERNELS_CPU_WINOGRAD_GRADIENT_ONCE
namespace lacuna::cpu {

// The work is cut into items: some channels of x, some of dy, and a part of the tiles. An item goes
// over its tiles once for each group of rows of positions, so that the sums of a group stay in the
// second level of cache.
struct GradientLayout {
  GradientLayout(const WinogradSizes& sizes, int m)
      : n(m + 2),
        tiles(tiles_of(sizes, m)),
        in_blocks(gradient_blocks(sizes.in_channels)),
        out_blocks(gradient_blocks(sizes.out_channels)),
        in_block(whole_lines(divided_up(sizes.in_channels, in_blocks))),
        out_block(whole_lines(divided_up(sizes.out_channels, out_blocks))),
        columns(out_block * out_blocks),
        parts(std::clamp<int64_t>(sizes.batch * sizes.out[0] * sizes.out[1] / part_pixels, 1,
                                  most_parts)) {
    if (parts > 1) parts -= parts % 2;
    const int64_t row = n * in_block * out_block * static_cast<int64_t>(sizeof(float));
    group = n;
    while (group > 1 && group * row > sum_bytes) group = n / (n / group + 1);
    sums = group * n * (in_block * out_block + line);
    in_tile = group * n * in_block + line;
    out_tile = group * n * out_block + line;
    const int64_t fit = block_bytes / static_cast<int64_t>(sizeof(float)) / (in_tile + out_tile);
    block = std::clamp<int64_t>(fit, least_block, most_block);
  }
  int64_t part_floats(const WinogradSizes& sizes) const { return sizes.in_channels * 9 * columns; }
  int64_t thread_floats() const { return sums + block * (in_tile + out_tile); }
  // Of dy, of all images. Their number alone decides how sums are cut.
  static constexpr int64_t part_pixels = 8192, most_parts = 64;
  static constexpr int64_t sum_bytes = 1200 << 10;  // of the sums of a group
  static constexpr int64_t block_bytes = 800 << 10, least_block = 32, most_block = 128;
  int64_t n, tiles, in_blocks, out_blocks, in_block, out_block, columns, parts;
  int64_t group;  // rows of positions
  int64_t sums, in_tile, out_tile, block;
};

struct Gradient {
  WinogradTile tile;
  const WinogradSizes& sizes;
  const GradientLayout& layout;
  const float* x;
  const float* dy;
  float* dw;
  float* parts;  // [part][C][9][columns]
  const float* zeros;
};

// What an item consists of.
struct GradientItem {
  GradientItem(const Gradient& g, int64_t item) {
    const GradientLayout& l = g.layout;
    part = item % l.parts;
    const int64_t blocks = item / l.parts;
    in_first = std::min(blocks / l.out_blocks * l.in_block, g.sizes.in_channels);
    in_last = std::min(in_first + l.in_block, g.sizes.in_channels);
    out_first = std::min(blocks % l.out_blocks * l.out_block, g.sizes.out_channels);
    out_last = std::min(out_first + l.out_block, g.sizes.out_channels);
    const int parts = static_cast<int>(l.parts);
    first = part_begin(l.tiles, static_cast<int>(part), parts);
    last = part_begin(l.tiles, static_cast<int>(part) + 1, parts);
  }
  int64_t part, in_first, in_last, out_first, out_last, first, last;
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// sums [position][panel][C][columns of the panel] += products of `count` tiles.
HWY_INLINE void add_products(const GradientLayout& l, const float* in, const float* out,
                             int64_t count, int64_t rows, float* sums, bool add) {
  const int64_t positions = l.group * l.n;
  for (int64_t position = 0; position < positions; ++position, sums += l.sums / positions) {
    for (int64_t column = 0; column < l.out_block; column += panel_columns) {
      const int64_t width = std::min<int64_t>(panel_columns, l.out_block - column);
      multiply_panel<true>({.a = in + position * l.in_block,
                            .a_row = 1,
                            .a_step = l.in_tile,
                            .b = out + position * l.out_block + column,
                            .b_step = l.out_tile,
                            .out = sums + column * l.in_block,
                            .out_row = width,
                            .steps = count,
                            .add = add,
                            .ahead = sums + column * l.in_block},
                           rows, width);
    }
  }
}

// The weights' gradients of the sums of rows [begin, end) of positions, to (or onto) the item's
// part.
template <int m>
HWY_INLINE void transform_sums(const Gradient& g, const GradientItem& item, const float* sums,
                               int64_t begin, int64_t end, float* part) {
  constexpr int n = m + 2;
  const GradientLayout& l = g.layout;
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t position = l.sums / (l.group * n);
  for (int64_t o = 0; o < l.out_block; o += vector_floats) {
    const int64_t panel = o / panel_columns * panel_columns;
    const int64_t width = std::min<int64_t>(panel_columns, l.out_block - panel);
    const float* from = sums + panel * l.in_block + (o - panel);
    for (int64_t c = item.in_first; c < item.in_last; ++c, from += width) {
      const auto load = [&](int j, V(&v)[n]) HWY_ATTR {
        unrolled<n>([&](auto at) HWY_ATTR {
          const auto i = static_cast<int64_t>(at);
          const bool there = i >= begin && i < end;
          v[at] = there ? hn::LoadU(d, from + ((i - begin) * n + j) * position) : hn::Zero(d);
        });
      };
      float* to = part + c * 9 * l.columns + item.out_first + o;
      transform<n, n, 3>(d, WeightGradientAxis(), 0, 3, load, [&](int i, const V(&v)[n]) HWY_ATTR {
        unrolled<3>([&](auto j) HWY_ATTR {
          float* place = to + (i * 3 + static_cast<int>(j)) * l.columns;
          const V before = begin > 0 ? hn::LoadU(d, place) : hn::Zero(d);
          hn::StoreU(hn::Add(before, v[j]), d, place);
        });
      });
    }
  }
}

template <int m>
HWY_INLINE void compute_item(const Gradient& g, const GradientItem& item, float* memory) {
  constexpr int n = m + 2;
  const GradientLayout& l = g.layout;
  const WinogradSizes& s = g.sizes;
  const Tiles grid(s, m);
  const Images<const float> x{g.x, s.in[0], s.in[1], s.in_channels};
  const Images<const float> dy{g.dy, s.out[0], s.out[1], s.out_channels};
  float* sums = memory;
  float* in = sums + l.sums;
  float* out = in + l.block * l.in_tile;
  float* part = g.parts + item.part * l.part_floats(s);
  std::fill_n(out, l.block * l.out_tile, 0.0f);  // columns that are not there too
  for (int64_t row = 0; row < n; row += l.group) {
    const int begin = static_cast<int>(row);
    const int end = static_cast<int>(row + l.group);
    for (int64_t first = item.first; first < item.last; first += l.block) {
      const int64_t count = std::min(l.block, item.last - first);
      for (int64_t t = 0; t < count; ++t) {
        transform_patch<n, n>(InputAxis(), x, grid.patch(first + t, s.padding[0], s.padding[1]),
                              g.zeros, item.in_first, item.in_last, begin, end, in + t * l.in_tile,
                              l.in_block);
        transform_patch<n, m>(OutputGradientAxis(), dy, grid.patch(first + t, 0, 0), g.zeros,
                              item.out_first, item.out_last, begin, end, out + t * l.out_tile,
                              l.out_block);
      }
      add_products(l, in, out, count, item.in_last - item.in_first, sums, first > item.first);
    }
    transform_sums<m>(g, item, sums, begin, end, part);
  }
}

void compute_items(const Gradient& g, int64_t begin, int64_t end, float* memory) {
  for (int64_t i = begin; i < end; ++i) {
    if (g.tile == WinogradTile::two)
      compute_item<2>(g, GradientItem(g, i), memory);
    else
      compute_item<4>(g, GradientItem(g, i), memory);
  }
}

// The sums over all parts, as the caller has the weights; of lines of columns.
void add_parts(const Gradient& g, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const GradientLayout& l = g.layout;
  const int64_t channels = g.sizes.in_channels;
  for (int64_t first = begin * line; first < end * line; first += line) {
    const int64_t count = std::min(line, g.sizes.out_channels - first);
    for (int64_t c = 0; c < channels; ++c) {
      HWY_ALIGN float weights[9][line];
      for (int64_t at = 0; at < 9; ++at) {
        for (int64_t lane = 0; lane < line; lane += vector_floats) {
          const float* from = g.parts + (c * 9 + at) * l.columns + first + lane;
          auto sum = hn::LoadU(d, from);
          for (int64_t part = 1; part < l.parts; ++part)
            sum = hn::Add(sum, hn::LoadU(d, from + part * l.part_floats(g.sizes)));
          hn::StoreU(sum, d, weights[at] + lane);
        }
      }
      for (int64_t k = 0; k < count; ++k) {
        float* to = g.dw + ((first + k) * channels + c) * 9;
        for (int64_t at = 0; at < 9; ++at) to[at] = weights[at][k];
      }
    }
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace lacuna::cpu {

HWY_EXPORT(compute_items);
HWY_EXPORT(add_parts);

void winograd_weight_gradient(CpuContext& context, WinogradTile tile, const WinogradSizes& sizes,
                              const float* x, const float* dy, float* dw) {
  const GradientLayout layout(sizes, static_cast<int>(tile));
  const int64_t items = layout.in_blocks * layout.out_blocks * layout.parts;
  const int threads = parts_of(context.threads(), items, 1);
  const int64_t part_floats = layout.part_floats(sizes);
  const int64_t zeros_floats = 6 * std::max(sizes.in_channels, sizes.out_channels);
  auto* parts = static_cast<float*>(context.scratch(
      sizeof(float) * static_cast<size_t>(layout.parts * part_floats + whole_lines(zeros_floats) +
                                          threads * whole_lines(layout.thread_floats()))));
  float* zeros = parts + layout.parts * part_floats;
  std::fill_n(zeros, zeros_floats, 0.0f);
  float* memory = zeros + whole_lines(zeros_floats);
  const Gradient g{tile, sizes, layout, x, dy, dw, parts, zeros};
  for_parts(threads, [&](int thread) {
    HWY_DYNAMIC_DISPATCH(compute_items)
    (g, part_begin(items, thread, threads), part_begin(items, thread + 1, threads),
     memory + thread * whole_lines(layout.thread_floats()));
  });
  for_ranges(threads, divided_up(sizes.out_channels, line), 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_parts)(g, begin, end);
  });
}

}  // namespace lacuna::cpu

#endif
