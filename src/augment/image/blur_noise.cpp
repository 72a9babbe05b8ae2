#include "augment/image/blur_noise.h"

#include <algorithm>
#include <array>

#include "base/error.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // as in geometry.cpp
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/image/blur_noise.cpp"
#include "hwy/foreach_target.h"
// Highway asks for this order.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

// Position p < n + radius reflected into [0, n), the edge itself not repeated.
HWY_INLINE int64_t reflected(int64_t p, int64_t n) {
  p = p < 0 ? -p : p;
  return p >= n ? 2 * (n - 1) - p : p;
}

// Along the height: from the view into `to`, of the same layout. `line`: stride + 2 radius floats.
void blur_height_body(const WorkImage& view, const float* weights, int64_t radius, float* line,
                      float* to) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t stride = view.stride(), height = view.height;
  std::fill_n(line, stride + 2 * radius, 0.f);
  float* const middle = line + radius;
  for (int64_t column = 0; column < view.width * view.channels; ++column) {
    const float* from = view.data + column * stride;
    std::copy_n(from, height, middle);
    for (int64_t k = 1; k <= radius; ++k) {
      middle[-k] = from[reflected(-k, height)];
      middle[height - 1 + k] = from[reflected(height - 1 + k, height)];
    }
    for (int64_t y = 0; y < stride; y += lanes) {
      V sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, middle + y));
      for (int64_t k = 1; k <= radius; ++k)
        sum = hn::MulAdd(hn::Set(d, weights[k]),
                         hn::Add(hn::LoadU(d, middle + y - k), hn::LoadU(d, middle + y + k)), sum);
      hn::Store(sum, d, to + column * stride + y);
    }
  }
}

// Along the width: from `from`, of the view's layout, into the view.
void blur_width_body(const float* from, const float* weights, int64_t radius, WorkImage& view) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t column = view.column_size();
  for (int64_t x = 0; x < view.width; ++x) {
    const float* const middle = from + x * column;
    std::array<const float*, max_blur_radius + 1> left, right;
    for (int64_t k = 1; k <= radius; ++k) {
      left[static_cast<size_t>(k)] = from + reflected(x - k, view.width) * column;
      right[static_cast<size_t>(k)] = from + reflected(x + k, view.width) * column;
    }
    float* const to = view.column(x);
    for (int64_t i = 0; i < column; i += lanes) {
      V sum = hn::Mul(hn::Set(d, weights[0]), hn::Load(d, middle + i));
      for (int64_t k = 1; k <= radius; ++k) {
        const size_t at = static_cast<size_t>(k);
        sum = hn::MulAdd(hn::Set(d, weights[k]),
                         hn::Add(hn::Load(d, left[at] + i), hn::Load(d, right[at] + i)), sum);
      }
      hn::Store(sum, d, to + i);
    }
  }
}

using DU = hn::RebindToUnsigned<D>;
using VU = hn::Vec<DU>;

// The low and high words of the products a * factor, for a round of Philox.
HWY_INLINE void multiply(VU a, VU factor, VU& low, VU& high) {
  const DU d;
#if HWY_TARGET == HWY_SCALAR
  const uint64_t product = uint64_t{hn::GetLane(a)} * hn::GetLane(factor);
  low = hn::Set(d, static_cast<uint32_t>(product));
  high = hn::Set(d, static_cast<uint32_t>(product >> 32));
#else
  const hn::RepartitionToWide<DU> wide;
  const auto even = hn::MulEven(a, factor);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), factor);
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
  high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
#endif
}

// base/random.h's philox, for one block of draws per lane.
HWY_INLINE void philox_vectors(std::array<uint32_t, 2> key, VU& c0, VU& c1, VU& c2, VU& c3) {
  const DU d;
  const VU m0 = hn::Set(d, 0xD2511F53u), m1 = hn::Set(d, 0xCD9E8D57u);
  for (int round = 0; round < 10; ++round) {
    VU low0, high0, low1, high1;
    multiply(c0, m0, low0, high0);
    multiply(c2, m1, low1, high1);
    c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(d, key[0]));
    c1 = low1;
    c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, key[1]));
    c3 = low0;
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
}

// Two normal draws per lane from two words (Box and Muller).
HWY_INLINE void normal_pair(VU a, VU b, V& first, V& second) {
  const D d;
  const hn::RebindToSigned<D> di;
  const V u = hn::MulAdd(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<9>(a))),
                         hn::Set(d, 0x1p-23f), hn::Set(d, 0x1p-24f));
  const V angle = hn::Mul(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<8>(b))),
                          hn::Set(d, 0x1p-24f * 6.28318530718f));
  const V radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.f), hn::Log(d, u)));
  first = hn::Mul(radius, hn::Cos(d, angle));
  second = hn::Mul(radius, hn::Sin(d, angle));
}

// Each 64 values take the draws of 16 blocks: lane l of the quarter q is number q of block l. So
// the draws do not depend on the length of the vectors.
void noise_body(WorkImage& view, float sigma, std::array<uint32_t, 2> key,
                std::array<uint32_t, 4> counter) {
  const D d;
  const DU du;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t size = view.size();
  const V s = hn::Set(d, sigma), zero = hn::Zero(d), one = hn::Set(d, 1.f);
  for (int64_t at = 0; at < size; at += 64)
    for (int64_t lane = 0; lane < 16; lane += lanes) {
      VU c0 = hn::Iota(du, counter[0] + static_cast<uint32_t>(at / 4 + lane));
      VU c1 = hn::Set(du, counter[1]), c2 = hn::Set(du, counter[2]), c3 = hn::Set(du, counter[3]);
      philox_vectors(key, c0, c1, c2, c3);
      V normal[4];
      normal_pair(c0, c1, normal[0], normal[1]);
      normal_pair(c2, c3, normal[2], normal[3]);
      for (int64_t quarter = 0; quarter < 4; ++quarter) {
        const int64_t place = at + quarter * 16 + lane;
        if (place >= size) break;
        const V x = hn::MulAdd(normal[quarter], s, hn::Load(d, view.data + place));
        hn::Store(hn::Min(hn::Max(x, zero), one), d, view.data + place);
      }
    }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lacuna
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna {
namespace {

HWY_EXPORT(blur_height_body);
HWY_EXPORT(blur_width_body);
HWY_EXPORT(noise_body);

int64_t line_size(int64_t stride, int64_t radius) { return (stride + 2 * radius + 31) / 16 * 16; }

}  // namespace

size_t blur_scratch(const ViewSpec& spec) {
  const int64_t stride = WorkImage::stride_of(spec.out_height);
  return static_cast<size_t>(line_size(stride, spec.blur_radius) +
                             spec.out_width * spec.channels * stride);
}

void gaussian_blur(WorkImage& view, int64_t radius, double sigma, float* scratch) {
  LACUNA_CHECK(radius <= max_blur_radius && radius < view.width && radius < view.height, radius);
  std::array<float, max_blur_radius + 1> weights{};
  std::array<double, max_blur_radius + 1> values{};
  double sum = 0;
  int64_t reach = 0;
  for (int64_t k = 0; k <= radius; ++k) {
    const double distance = static_cast<double>(k) / sigma;
    if (distance > 5.67) break;  // below 1e-7 of the middle
    const double value = portable_exp(-0.5 * distance * distance);
    values[static_cast<size_t>(k)] = value;
    sum += k == 0 ? value : 2 * value;
    reach = k;
  }
  if (reach == 0) return;
  for (size_t k = 0; k <= static_cast<size_t>(reach); ++k)
    weights[k] = static_cast<float>(values[k] / sum);
  float* const blurred = scratch + line_size(view.stride(), radius);
  HWY_DYNAMIC_DISPATCH(blur_height_body)(view, weights.data(), reach, scratch, blurred);
  HWY_DYNAMIC_DISPATCH(blur_width_body)(blurred, weights.data(), reach, view);
}

void gaussian_noise(WorkImage& view, float sigma, const std::array<uint32_t, 2>& key,
                    const std::array<uint32_t, 4>& counter) {
  HWY_DYNAMIC_DISPATCH(noise_body)(view, sigma, key, counter);
}

void draw_blur(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  if (spec.blur_radius == 0 || !draws.happens(0, spec.blur)) return;
  const Interval sigma = spec.options.blur_sigma;
  drawn.blur = draws.between(1, sigma[0], sigma[1]);
}

void draw_noise(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  if (!draws.happens(0, spec.options.noise)) return;
  const Interval sigma = spec.options.noise_sigma;
  drawn.noise = true;
  drawn.noise_sigma = static_cast<float>(draws.between(1, sigma[0], sigma[1]));
  // Blocks 0 to 15 are left to the draws of the transform's parameters.
  const auto key = draws.stream().key();
  const auto counter = draws.stream().counter(16);
  std::copy(key.begin(), key.end(), drawn.noise_key);
  std::copy(counter.begin(), counter.end(), drawn.noise_counter);
}

void apply_blur(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float* scratch) {
  if (drawn.blur > 0) gaussian_blur(view, spec.blur_radius, drawn.blur, scratch);
}

void apply_noise(const ViewSpec&, const ViewDraws& drawn, WorkImage& view, float*) {
  if (drawn.noise)
    gaussian_noise(view, drawn.noise_sigma, std::to_array(drawn.noise_key),
                   std::to_array(drawn.noise_counter));
}

}  // namespace lacuna
#endif
