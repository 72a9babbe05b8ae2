#include "augment/image/geometry.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

// Two of the instruction sets between the baseline and AVX-512 would cost a compilation each and
// serve no processor in use.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/image/geometry.cpp"
#include "hwy/foreach_target.h"
// Highway asks for this order.
#include "hwy/highway.h"

#ifndef LACUNA_AUGMENT_GEOMETRY_TYPES
#define LACUNA_AUGMENT_GEOMETRY_TYPES
namespace lacuna {
namespace {

// For each position of an axis of the view, the input positions that it is made of:
// sum over k < count[i] of weights[i * most + k] * input[first[i] + k].
struct Taps {
  int32_t* first;
  int32_t* count;
  float* weights;
  int64_t most;
};

// What the target-specific body of resample() needs.
struct Resampling {
  const float* box;  // the first value of the box
  size_t row_step;   // floats from row to row of the sample
  size_t row_size;   // floats of a row of the box: width * channels
  Taps rows, columns;
  float* tile;        // [16, row_size]
  float* zeros;       // [row_size]
  float* columns_in;  // [width of the box, channels, stride]
};

}  // namespace
}  // namespace lacuna
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t tile_rows = 16;

// to[j] = sum over k of weights[k] * from[k * step + j], j < n, with vectors of d; n >= their
// length.
template <class D>
HWY_INLINE void weighted_sum(D d, const float* HWY_RESTRICT from, size_t step,
                             const float* HWY_RESTRICT weights, size_t count, size_t n,
                             float* HWY_RESTRICT to) {
  const size_t lanes = hn::Lanes(d);
  const auto one = [&](size_t j) HWY_ATTR {
    auto sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, from + j));
    for (size_t k = 1; k < count; ++k)
      sum = hn::MulAdd(hn::Set(d, weights[k]), hn::LoadU(d, from + k * step + j), sum);
    hn::StoreU(sum, d, to + j);
  };
  size_t j = 0;
  for (; j + lanes <= n; j += lanes) one(j);
  if (j < n) one(n - lanes);  // overlaps what is there already, with the same values
}

void weighted_sum(const float* from, size_t step, const float* weights, size_t count, size_t n,
                  float* to) {
  const hn::CappedTag<float, 16> wide;
  const hn::CappedTag<float, 4> narrow;
  const hn::CappedTag<float, 1> single;
  if (n >= hn::Lanes(wide))
    weighted_sum(wide, from, step, weights, count, n, to);
  else if (n >= hn::Lanes(narrow))
    weighted_sum(narrow, from, step, weights, count, n, to);
  else
    weighted_sum(single, from, step, weights, count, n, to);
}

#if HWY_TARGET != HWY_SCALAR
// (a, b, c, e) as rows of a 4 x 4 matrix become its columns.
template <class D, class V>
HWY_INLINE void transpose4(D d, V& a, V& b, V& c, V& e) {
  const V ab_low = hn::InterleaveLower(d, a, b), ab_high = hn::InterleaveUpper(d, a, b);
  const V ce_low = hn::InterleaveLower(d, c, e), ce_high = hn::InterleaveUpper(d, c, e);
  a = hn::ConcatLowerLower(d, ce_low, ab_low);
  b = hn::ConcatUpperUpper(d, ce_low, ab_low);
  c = hn::ConcatLowerLower(d, ce_high, ab_high);
  e = hn::ConcatUpperUpper(d, ce_high, ab_high);
}

// to[k * stride + r] = rows[r][i + k], r < 16, k < 4.
void transpose_four(const float* const* rows, size_t i, float* to, size_t stride) {
  const hn::FixedTag<float, 4> d;
  for (size_t r = 0; r < tile_rows; r += 4) {
    auto a = hn::LoadU(d, rows[r] + i), b = hn::LoadU(d, rows[r + 1] + i);
    auto c = hn::LoadU(d, rows[r + 2] + i), e = hn::LoadU(d, rows[r + 3] + i);
    transpose4(d, a, b, c, e);
    hn::Store(a, d, to + r);
    hn::Store(b, d, to + r + stride);
    hn::Store(c, d, to + r + 2 * stride);
    hn::Store(e, d, to + r + 3 * stride);
  }
}

// Four elements, from i on, of up to 16 rows of the view, from `top` on.
void write_four(const WorkImage& view, const float* mean, const float* inverse_std, size_t top,
                size_t i, float* to) {
  const hn::FixedTag<float, 4> d;
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t height = static_cast<size_t>(view.height);
  const size_t n = static_cast<size_t>(view.width * view.channels);
  const auto m = hn::LoadU(d, mean + i), s = hn::LoadU(d, inverse_std + i);
  for (size_t y = top; y < top + tile_rows && y < height; y += 4) {
    const float* block = view.data + i * stride + y;
    auto a = hn::Load(d, block), b = hn::Load(d, block + stride);
    auto c = hn::Load(d, block + 2 * stride), e = hn::Load(d, block + 3 * stride);
    transpose4(d, a, b, c, e);
    float* row = to + y * n + i;
    hn::StoreU(hn::Mul(hn::Sub(a, m), s), d, row);
    if (y + 1 < height) hn::StoreU(hn::Mul(hn::Sub(b, m), s), d, row + n);
    if (y + 2 < height) hn::StoreU(hn::Mul(hn::Sub(c, m), s), d, row + 2 * n);
    if (y + 3 < height) hn::StoreU(hn::Mul(hn::Sub(e, m), s), d, row + 3 * n);
  }
}
// Calls f(i) for groups of four that cover n elements, the last one overlapping its neighbour, and
// returns n; or calls nothing and returns 0 where there are less.
template <class F>
HWY_INLINE size_t in_fours(size_t n, F f) {
  if (n < 4) return 0;
  for (size_t i = 0; i + 4 <= n; i += 4) f(i);
  if (n % 4 != 0) f(n - 4);
  return n;
}
#endif

// to[i * stride + r] = rows[r][i], r < 16, i < n.
void transpose_in(const float* const* rows, size_t n, float* to, size_t stride) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  i = in_fours(n, [&](size_t k) HWY_ATTR { transpose_four(rows, k, to + k * stride, stride); });
#endif
  for (; i < n; ++i)
    for (size_t r = 0; r < tile_rows; ++r) to[i * stride + r] = rows[r][i];
}

void resample_body(const Resampling& work, const WorkImage& view) {
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t height = static_cast<size_t>(view.height);
  std::array<const float*, tile_rows> rows;
  for (size_t top = 0; top < height; top += tile_rows) {
    for (size_t r = 0; r < tile_rows; ++r) {
      rows[r] = work.zeros;
      if (top + r >= height) continue;
      const size_t y = top + r;
      rows[r] = work.box + static_cast<size_t>(work.rows.first[y]) * work.row_step;
      const size_t count = static_cast<size_t>(work.rows.count[y]);
      if (count == 1) continue;  // a weight of one: the row itself
      float* to = work.tile + r * work.row_size;
      weighted_sum(rows[r], work.row_step,
                   work.rows.weights + y * static_cast<size_t>(work.rows.most), count,
                   work.row_size, to);
      rows[r] = to;
    }
    transpose_in(rows.data(), work.row_size, work.columns_in + top, stride);
  }
  const size_t column = static_cast<size_t>(view.column_size());
  for (size_t x = 0; x < static_cast<size_t>(view.width); ++x)
    weighted_sum(work.columns_in + static_cast<size_t>(work.columns.first[x]) * column, column,
                 work.columns.weights + x * static_cast<size_t>(work.columns.most),
                 static_cast<size_t>(work.columns.count[x]), column, view.column(x));
}

void write_body(const WorkImage& view, const float* mean, const float* inverse_std, float* to) {
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t height = static_cast<size_t>(view.height);
  const size_t n = static_cast<size_t>(view.width * view.channels);
  for (size_t top = 0; top < height; top += tile_rows) {
    size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    i = in_fours(n, [&](size_t k) HWY_ATTR { write_four(view, mean, inverse_std, top, k, to); });
#endif
    for (; i < n; ++i)
      for (size_t y = top; y < top + tile_rows && y < height; ++y)
        to[y * n + i] = (view.data[i * stride + y] - mean[i]) * inverse_std[i];
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lacuna
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna {
namespace {

HWY_EXPORT(resample_body);
HWY_EXPORT(write_body);

int64_t rounded(double x) { return static_cast<int64_t>(x + 0.5); }

// Most taps per output when `in` positions become `out`.
int64_t most_taps(int64_t in, int64_t out) { return 2 * ((in + out - 1) / out) + 1; }

// Floats that take_taps() takes at most for any box of up to `in` positions.
size_t taps_size(int64_t in, int64_t out) { return static_cast<size_t>(4 * in + 10 * out + 64); }

// Takes `count` values, rounded up to whole cache lines, from the front of the scratch memory.
template <typename T>
T* take(float*& scratch, size_t count) {
  static_assert(sizeof(T) == sizeof(float));
  T* taken = reinterpret_cast<T*>(scratch);
  scratch += (count + 15) / 16 * 16;
  return taken;
}

// The triangle filter of `in` positions resized to `out`; mirrored if asked.
Taps take_taps(int64_t in, int64_t out, bool mirrored, float*& scratch) {
  const size_t n = static_cast<size_t>(out);
  Taps taps{take<int32_t>(scratch, n), take<int32_t>(scratch, n), nullptr, most_taps(in, out)};
  taps.weights = take<float>(scratch, n * static_cast<size_t>(taps.most));
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  for (int64_t i = 0; i < out; ++i) {
    const int64_t place = mirrored ? out - 1 - i : i;
    const double centre = scale * (static_cast<double>(i) + 0.5) - 0.5;
    int64_t first = std::max<int64_t>(static_cast<int64_t>(std::ceil(centre - support)), 0);
    int64_t last = std::min<int64_t>(static_cast<int64_t>(std::floor(centre + support)), in - 1);
    const auto weight = [&](int64_t j) {
      return support - std::abs(static_cast<double>(j) - centre);
    };
    while (first < last && weight(first) <= 0) ++first;
    while (first < last && weight(last) <= 0) --last;
    double sum = 0;
    for (int64_t j = first; j <= last; ++j) sum += weight(j);
    float* weights = taps.weights + place * taps.most;
    for (int64_t j = first; j <= last; ++j)
      weights[j - first] = first == last ? 1.f : static_cast<float>(weight(j) / sum);
    taps.first[place] = static_cast<int32_t>(first);
    taps.count[place] = static_cast<int32_t>(last - first + 1);
  }
  return taps;
}

}  // namespace

CropPlacement centred_box(const ViewSpec& spec) {
  CropPlacement box{0, 0, spec.height, spec.width};
  if (spec.width * spec.out_height > spec.height * spec.out_width)
    box.width = std::max<int64_t>(spec.height * spec.out_width / spec.out_height, 1);
  else
    box.height = std::max<int64_t>(spec.width * spec.out_height / spec.out_width, 1);
  box.top = (spec.height - box.height) / 2;
  box.left = (spec.width - box.width) / 2;
  return box;
}

void turn(CropPlacement& placement, uint64_t quarters) {
  for (; quarters % 4 != 0; --quarters) {
    // The turned view's rows are the columns, the last one first.
    (placement.transposed ? placement.flip_y : placement.flip_x) ^= true;
    placement.transposed ^= true;
  }
}

void random_crop(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement) {
  const Interval area = spec.options.crop, ratio = spec.options.crop_ratio;
  if (area[0] >= 1) return;
  // Proportions count relative to the view's own, so that a view that is not square is not
  // squeezed.
  const double proportion =
      static_cast<double>(spec.out_width) / static_cast<double>(spec.out_height);
  const double whole = static_cast<double>(spec.height * spec.width);
  const double spread = portable_log(ratio[1] / ratio[0]);
  for (uint32_t attempt = 0; attempt < 10; ++attempt) {
    const uint32_t index = 4 * attempt;
    const double target = whole * draws.between(index, area[0], area[1]);
    const double aspect =
        proportion * ratio[0] * portable_exp(spread * draws.between(index + 1, 0, 1));
    const int64_t width = rounded(std::sqrt(target * aspect));
    const int64_t height = rounded(std::sqrt(target / aspect));
    if (width < 1 || width > spec.width || height < 1 || height > spec.height) continue;
    placement.height = height;
    placement.width = width;
    placement.top = static_cast<int64_t>(
        draws.below(index + 2, static_cast<uint64_t>(spec.height - height + 1)));
    placement.left =
        static_cast<int64_t>(draws.below(index + 3, static_cast<uint64_t>(spec.width - width + 1)));
    return;
  }
  const double own = static_cast<double>(spec.width) / static_cast<double>(spec.height);
  placement.height = spec.height;
  placement.width = spec.width;
  if (own < proportion * ratio[0])
    placement.height =
        std::max<int64_t>(rounded(static_cast<double>(spec.width) / (proportion * ratio[0])), 1);
  else if (own > proportion * ratio[1])
    placement.width =
        std::max<int64_t>(rounded(static_cast<double>(spec.height) * (proportion * ratio[1])), 1);
  placement.top = (spec.height - placement.height) / 2;
  placement.left = (spec.width - placement.width) / 2;
}

void random_flip(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement) {
  if (draws.happens(0, spec.options.flip)) placement.flip_x ^= true;
}

void random_vertical_flip(const ViewSpec& spec, const TransformDraws& draws,
                          CropPlacement& placement) {
  if (draws.happens(0, spec.options.vertical_flip)) placement.flip_y ^= true;
}

void random_turn(const ViewSpec& spec, const TransformDraws& draws, CropPlacement& placement) {
  if (draws.happens(0, spec.options.turns)) turn(placement, draws.below(1, 4));
}

size_t resample_scratch(const ViewSpec& spec) {
  const int64_t row = spec.width * spec.channels;
  const int64_t stride = WorkImage::stride_of(spec.out_height);
  return taps_size(spec.height, spec.out_height) + taps_size(spec.width, spec.out_width) +
         static_cast<size_t>(row * stride + 17 * row + 48);
}

void resample(const ViewSpec& spec, const float* sample, const CropPlacement& placement,
              WorkImage& view, float* scratch) {
  Resampling work;
  work.row_step = static_cast<size_t>(spec.width * spec.channels);
  work.row_size = static_cast<size_t>(placement.width * spec.channels);
  work.box = sample + placement.top * spec.width * spec.channels + placement.left * spec.channels;
  work.rows = take_taps(placement.height, view.height, placement.flip_y, scratch);
  work.columns = take_taps(placement.width, view.width, placement.flip_x, scratch);
  work.tile = take<float>(scratch, 16 * work.row_size);
  work.zeros = take<float>(scratch, work.row_size);
  std::fill_n(work.zeros, work.row_size, 0.f);
  work.columns_in = scratch;
  HWY_DYNAMIC_DISPATCH(resample_body)(work, view);
}

void write_view(const WorkImage& view, bool transposed, const float* mean, const float* inverse_std,
                float* to) {
  if (!transposed) {
    HWY_DYNAMIC_DISPATCH(write_body)(view, mean, inverse_std, to);
    return;
  }
  for (int64_t x = 0; x < view.width; ++x)
    for (int64_t c = 0; c < view.channels; ++c) {
      const float* from = view.column(x) + c * view.stride();
      float* row = to + x * view.height * view.channels + c;
      for (int64_t y = 0; y < view.height; ++y)
        row[y * view.channels] = (from[y] - mean[c]) * inverse_std[c];
    }
}

}  // namespace lacuna
#endif
