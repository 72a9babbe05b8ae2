#include "augment/image/colour.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // as in geometry.cpp
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/image/colour.cpp"
#include "hwy/foreach_target.h"
// Highway asks for this order.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

HWY_INLINE V clamped(D d, V x) { return hn::Min(hn::Max(x, hn::Zero(d)), hn::Set(d, 1.f)); }

// The grey of the pixels at `pixel` of a column.
HWY_INLINE V grey(D d, const float* pixel, size_t stride, size_t channels) {
  if (channels == 3) {
    V sum = hn::Mul(hn::Load(d, pixel), hn::Set(d, 0.2989f));
    sum = hn::MulAdd(hn::Load(d, pixel + stride), hn::Set(d, 0.587f), sum);
    return hn::MulAdd(hn::Load(d, pixel + 2 * stride), hn::Set(d, 0.114f), sum);
  }
  V sum = hn::Load(d, pixel);
  for (size_t c = 1; c < channels; ++c) sum = hn::Add(sum, hn::Load(d, pixel + c * stride));
  return hn::Mul(sum, hn::Set(d, 1.f / static_cast<float>(channels)));
}

// Calls f(pointer) for each vector of values.
template <class F>
HWY_INLINE void each_value(WorkImage& view, F f) {
  const size_t lanes = hn::Lanes(D());
  float* const end = view.data + view.size();
  for (float* value = view.data; value < end; value += lanes) f(value);
}

// Calls f(pointer, row) for the first channel of each vector of pixels.
template <class F>
HWY_INLINE void each_pixel(WorkImage& view, F f) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  for (int64_t x = 0; x < view.width; ++x)
    for (int64_t y = 0; y < view.height; y += lanes) f(view.column(x) + y, y);
}

void brightness_body(WorkImage& view, float factor) {
  const D d;
  const V f = hn::Set(d, factor);
  each_value(view,
             [&](float* x) HWY_ATTR { hn::Store(clamped(d, hn::Mul(hn::Load(d, x), f)), d, x); });
}

// x * factor + base
void scale_shift_body(WorkImage& view, float factor, float base) {
  const D d;
  const V f = hn::Set(d, factor), b = hn::Set(d, base);
  each_value(view, [&](float* x)
                       HWY_ATTR { hn::Store(clamped(d, hn::MulAdd(hn::Load(d, x), f, b)), d, x); });
}

double mean_grey_body(WorkImage& view) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t channels = static_cast<size_t>(view.channels);
  double sum = 0;
  for (int64_t x = 0; x < view.width; ++x) {
    V column = hn::Zero(d);
    for (int64_t y = 0; y < view.height; y += lanes) {
      V g = grey(d, view.column(x) + y, stride, channels);
      if (y + lanes > view.height)
        g = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(view.height - y)), g);
      column = hn::Add(column, g);
    }
    sum += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, column)));
  }
  return sum / static_cast<double>(view.width * view.height);
}

// Blends each pixel with its grey; a factor of 0 leaves the grey.
void saturation_body(WorkImage& view, float factor) {
  const D d;
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t channels = static_cast<size_t>(view.channels);
  const V f = hn::Set(d, factor), rest = hn::Set(d, 1.f - factor);
  each_pixel(view, [&](float* pixel, int64_t) HWY_ATTR {
    const V base = hn::Mul(grey(d, pixel, stride, channels), rest);
    for (size_t c = 0; c < channels; ++c) {
      float* x = pixel + c * stride;
      hn::Store(clamped(d, hn::MulAdd(hn::Load(d, x), f, base)), d, x);
    }
  });
}

void grey_body(WorkImage& view) {
  const D d;
  const size_t stride = static_cast<size_t>(view.stride());
  const size_t channels = static_cast<size_t>(view.channels);
  each_pixel(view, [&](float* pixel, int64_t) HWY_ATTR {
    const V g = grey(d, pixel, stride, channels);
    for (size_t c = 0; c < channels; ++c) hn::Store(g, d, pixel + c * stride);
  });
}

// To hue, saturation, value and back with the hue turned. With hue h in sextants, value v and
// chroma w, channel n (red 5, green 3, blue 1) is v - w * clamp(min(k, 4 - k), 0, 1), k = (n + h)
// mod 6.
void hue_body(WorkImage& view, float turn) {
  const D d;
  const size_t stride = static_cast<size_t>(view.stride());
  const V zero = hn::Zero(d), one = hn::Set(d, 1.f), four = hn::Set(d, 4.f), six = hn::Set(d, 6.f);
  const V shift = hn::Set(d, turn * 6.f), sixth = hn::Set(d, 1.f / 6.f);
  each_pixel(view, [&](float* pixel, int64_t) HWY_ATTR {
    const V r = hn::Load(d, pixel);
    const V g = hn::Load(d, pixel + stride);
    const V b = hn::Load(d, pixel + 2 * stride);
    const V value = hn::Max(r, hn::Max(g, b));
    const V chroma = hn::Sub(value, hn::Min(r, hn::Min(g, b)));
    const auto red = hn::Eq(value, r), green = hn::Eq(value, g);
    const V difference =
        hn::IfThenElse(red, hn::Sub(g, b), hn::IfThenElse(green, hn::Sub(b, r), hn::Sub(r, g)));
    const V sextant = hn::IfThenElse(red, zero, hn::IfThenElse(green, hn::Set(d, 2.f), four));
    const V divisor = hn::IfThenElse(hn::Eq(chroma, zero), one, chroma);
    const V hue = hn::Add(hn::Add(hn::Div(difference, divisor), sextant), shift);
    const auto channel = [&](float n) HWY_ATTR {
      const V k0 = hn::Add(hue, hn::Set(d, n));
      const V k = hn::NegMulAdd(hn::Floor(hn::Mul(k0, sixth)), six, k0);
      return hn::NegMulAdd(chroma, clamped(d, hn::Min(k, hn::Sub(four, k))), value);
    };
    hn::Store(channel(5.f), d, pixel);
    hn::Store(channel(3.f), d, pixel + stride);
    hn::Store(channel(1.f), d, pixel + 2 * stride);
  });
}

void solarise_body(WorkImage& view, float threshold) {
  const D d;
  const V limit = hn::Set(d, threshold), one = hn::Set(d, 1.f);
  each_value(view, [&](float* value) HWY_ATTR {
    const V x = hn::Load(d, value);
    hn::Store(hn::IfThenElse(hn::Ge(x, limit), hn::Sub(one, x), x), d, value);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lacuna
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna {
namespace {

HWY_EXPORT(brightness_body);
HWY_EXPORT(scale_shift_body);
HWY_EXPORT(mean_grey_body);
HWY_EXPORT(saturation_body);
HWY_EXPORT(grey_body);
HWY_EXPORT(hue_body);
HWY_EXPORT(solarise_body);

}  // namespace

void adjust_brightness(WorkImage& view, float factor) {
  HWY_DYNAMIC_DISPATCH(brightness_body)(view, factor);
}

void adjust_contrast(WorkImage& view, float factor) {
  const float mean = static_cast<float>(HWY_DYNAMIC_DISPATCH(mean_grey_body)(view));
  HWY_DYNAMIC_DISPATCH(scale_shift_body)(view, factor, mean * (1.f - factor));
}

void adjust_contrast_of_channels(WorkImage& view, float factor) {
  for (int64_t c = 0; c < view.channels; ++c) {
    const auto column = [&](int64_t x) { return view.column(x) + c * view.stride(); };
    double sum = 0;
    for (int64_t x = 0; x < view.width; ++x)
      for (int64_t y = 0; y < view.height; ++y) sum += static_cast<double>(column(x)[y]);
    const auto mean = static_cast<float>(sum / static_cast<double>(view.width * view.height));
    for (int64_t x = 0; x < view.width; ++x)
      for (int64_t y = 0; y < view.height; ++y)
        column(x)[y] = std::clamp(mean + (column(x)[y] - mean) * factor, 0.f, 1.f);
  }
}

void adjust_saturation(WorkImage& view, float factor) {
  HWY_DYNAMIC_DISPATCH(saturation_body)(view, factor);
}

void adjust_hue(WorkImage& view, float turn) {
  LACUNA_CHECK(view.channels == 3, view.channels, " channels");
  HWY_DYNAMIC_DISPATCH(hue_body)(view, turn);
}

void to_grey(WorkImage& view) { HWY_DYNAMIC_DISPATCH(grey_body)(view); }

void solarise(WorkImage& view, float threshold) {
  HWY_DYNAMIC_DISPATCH(solarise_body)(view, threshold);
}

void fill_channel(WorkImage& view, int64_t channel, float value) {
  for (int64_t x = 0; x < view.width; ++x)
    std::fill_n(view.column(x) + channel * view.stride(), view.stride(), value);
}

void draw_jitter(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  if (!draws.happens(0, spec.options.jitter_probability)) return;
  const auto& strength = spec.options.jitter;
  // A permutation of the four (Fisher and Yates), from one draw below 4!.
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  uint64_t rest = draws.below(1, 24);
  for (uint64_t n = 4; n > 1; rest /= n, --n) std::swap(order[n - 1], order[rest % n]);
  size_t count = 0;
  for (const uint32_t which : order) {
    const double s = strength[which];
    const bool mixes = which == ViewDraws::saturation || which == ViewDraws::hue;
    if (s == 0 || (which == ViewDraws::saturation && spec.channels == 1)) continue;
    if (mixes && !spec.options.colours) continue;
    drawn.jitter[count] = static_cast<ViewDraws::Jitter>(which);
    drawn.factors[count++] = static_cast<float>(
        which == ViewDraws::hue ? draws.between(2 + which, -s, s)
                                : draws.between(2 + which, std::max(0.0, 1 - s), 1 + s));
  }
}

void draw_greyscale(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  drawn.grey =
      spec.channels > 1 && spec.options.colours && draws.happens(0, spec.options.greyscale);
}

void draw_solarise(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  drawn.solarise = draws.happens(0, spec.solarise);
}

void draw_channel_drop(const ViewSpec& spec, const TransformDraws& draws, ViewDraws& drawn) {
  if (!draws.happens(0, spec.options.channel_drop)) return;
  drawn.dropped = static_cast<int32_t>(draws.below(1, static_cast<uint64_t>(spec.channels)));
}

void apply_jitter(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float*) {
  for (size_t i = 0; i < 4; ++i) {
    const float f = drawn.factors[i];
    switch (drawn.jitter[i]) {
      case ViewDraws::none:
        break;
      case ViewDraws::brightness:
        adjust_brightness(view, f);
        break;
      case ViewDraws::contrast:
        if (spec.options.colours)
          adjust_contrast(view, f);
        else
          adjust_contrast_of_channels(view, f);
        break;
      case ViewDraws::saturation:
        adjust_saturation(view, f);
        break;
      case ViewDraws::hue:
        adjust_hue(view, f);
        break;
    }
  }
}

void apply_greyscale(const ViewSpec&, const ViewDraws& drawn, WorkImage& view, float*) {
  if (drawn.grey) to_grey(view);
}

void apply_solarise(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float*) {
  if (drawn.solarise) solarise(view, static_cast<float>(spec.options.solarise_threshold));
}

void apply_channel_drop(const ViewSpec& spec, const ViewDraws& drawn, WorkImage& view, float*) {
  if (drawn.dropped < 0) return;
  fill_channel(view, drawn.dropped, spec.normalisation.mean[static_cast<size_t>(drawn.dropped)]);
}

}  // namespace lacuna
#endif
