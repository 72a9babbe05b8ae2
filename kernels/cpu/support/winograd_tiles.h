// Tiles of images, to and from the transformed form of Winograd's convolutions. Included once for
// each instruction set, as simd.h is.
#if defined(LACUNA_KERNELS_CPU_WINOGRAD_TILES_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LACUNA_KERNELS_CPU_WINOGRAD_TILES_H
#undef LACUNA_KERNELS_CPU_WINOGRAD_TILES_H
#else
#define LACUNA_KERNELS_CPU_WINOGRAD_TILES_H
#endif

#include <algorithm>

#include "kernels/cpu/support/simd.h"
#include "kernels/cpu/support/winograd_sizes.h"
#include "kernels/cpu/support/winograd_transforms.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// Where the part of an image that a tile covers lies: its pixels from (row, column) on, of which
// those outside the image are zeros.
struct Patch {
  int64_t image, row, column;
};

// Patch number `tile` of images that `rows` by `columns` tiles cover, which begin every m pixels,
// the first `padding` pixels outside.
struct Tiles {
  Tiles(const WinogradSizes& sizes, int64_t m)
      : size(m), rows((sizes.out[0] + m - 1) / m), columns((sizes.out[1] + m - 1) / m) {}
  Patch patch(int64_t tile, int64_t padding_rows, int64_t padding_columns) const {
    const int64_t image = tile / (rows * columns), rest = tile % (rows * columns);
    return {image, rest / columns * size - padding_rows, rest % columns * size - padding_columns};
  }
  int64_t size, rows, columns;
};

// Images [B, height, width, channels].
template <typename T>
struct Images {
  T* data;
  int64_t height, width, channels;
};

// Reads `edge` by `edge` pixels of some channels, transforms them and stores rows [begin, end) of
// the result: position (i, j) of channel c at to[((i - begin) size + j) stride + c - first].
// zeros: `edge` times all channels.
template <int size, int edge, class Axis>
HWY_INLINE void transform_patch(const Axis& axis, const Images<const float>& x, const Patch& patch,
                                const float* zeros, int64_t first, int64_t last, int begin, int end,
                                float* to, int64_t stride) {
  const int64_t left = std::max<int64_t>(-patch.column, 0);
  const int64_t right = std::min<int64_t>(x.width - patch.column, edge);
  const float* rows[edge];  // from the first column inside on
  for (int i = 0; i < edge; ++i) {
    const int64_t row = patch.row + i;
    rows[i] = row < 0 || row >= x.height
                  ? zeros
                  : x.data + ((patch.image * x.height + row) * x.width + patch.column + left) *
                                 x.channels;
  }
  for_lanes(first, last, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    const auto load = [&](int j, V(&v)[size]) HWY_ATTR {
      if (j < left || j >= right) {
        unrolled<edge>([&](auto i) HWY_ATTR { v[i] = hn::Zero(d); });
      } else {
        const int64_t at = (j - left) * x.channels + c;
        unrolled<edge>([&](auto i) HWY_ATTR { v[i] = hn::LoadU(d, rows[i] + at); });
      }
    };
    transform<size, edge, size>(d, axis, begin, end, load, [&](int i, const V(&v)[size]) HWY_ATTR {
      float* row = to + (i - begin) * size * stride + (c - first);
      unrolled<size>([&](auto j)
                         HWY_ATTR { hn::StoreU(v[j], d, row + static_cast<int64_t>(j) * stride); });
    });
  });
}

// Transforms the products back, those of position (i, j) at from[(i size + j) stride + c], adds the
// bias unless it is nullptr, and writes the pixels that lie in the image; past the caches if
// `stream` (y and its pixels are whole cache lines then).
template <int size, int edge>
HWY_INLINE void write_patch(const float* from, int64_t stride, const float* bias,
                            const Images<float>& y, const Patch& patch, bool stream) {
  const int rows = static_cast<int>(std::min<int64_t>(y.height - patch.row, edge));
  const int64_t columns = std::min<int64_t>(y.width - patch.column, edge);
  float* to = y.data + ((patch.image * y.height + patch.row) * y.width + patch.column) * y.channels;

  for_lanes(0, y.channels, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    const auto load = [&](int j, V(&v)[size]) HWY_ATTR {
      const float* column = from + j * stride + c;
      unrolled<size>([&](auto i) HWY_ATTR {
        v[i] = hn::LoadU(d, column + static_cast<int64_t>(i) * size * stride);
      });
    };
    const V shift = bias == nullptr ? hn::Zero(d) : hn::LoadU(d, bias + c);
    const auto store = [&](int i, const V(&v)[size]) HWY_ATTR {
      float* row = to + i * y.width * y.channels + c;
      unrolled<edge>([&](auto j) HWY_ATTR {
        float* pixel = row + static_cast<int64_t>(j) * y.channels;
        if (static_cast<int64_t>(j) < columns) {
          if (stream)
            hn::Stream(hn::Add(v[j], shift), d, pixel);
          else
            hn::StoreU(hn::Add(v[j], shift), d, pixel);
        }
      });
    };
    transform<size, size, edge>(d, OutputAxis(), 0, rows, load, store);
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard for each target
