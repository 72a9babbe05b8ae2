#include "data/values/interpretation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "data/files/decode.h"

namespace lacuna {

namespace {

Shape delivered_shape(const Shape& stored, Channels channels, int64_t parts) {
  std::vector<int64_t> sizes(stored.sizes().begin(), stored.sizes().end());
  if (channels == Channels::none) sizes.push_back(1);
  if (channels == Channels::first) std::rotate(sizes.begin(), sizes.begin() + 1, sizes.end());
  sizes.back() *= parts;
  return Shape(std::span<const int64_t>(sizes));
}

// Of one sample as it is stored, without the parts of its numbers.
Shape shape_of_numbers(const Field& field) {
  return field.complex ? field.shape.slice(0, field.shape.rank() - 1) : field.shape;
}

// What is no number becomes NaN.
template <typename To>
void mark_missing(To* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) values[i] = std::numeric_limits<To>::quiet_NaN();
}

}  // namespace

Channels usual_channels(const Shape& sample) {
  return sample.rank() <= 2 ? Channels::none : Channels::last;
}

Interpretation::Interpretation(const Field& field, Channels channels, double low, double high)
    : Interpretation(field, channels, low, high, false) {}

Interpretation::Interpretation(const Field& field, Channels channels)
    : Interpretation(field, channels, 0, 1, true) {}

Interpretation::Interpretation(const Field& field, Channels channels, double low, double high,
                               bool as_they_are)
    : dtype_(field.dtype),
      first_(channels == Channels::first),
      may_miss_(field.may_miss),
      parts_(field.complex ? 2 : 1),
      low_(low),
      high_(high),
      as_they_are_(as_they_are) {
  const int most = Shape::max_rank - (channels == Channels::none ? 1 : 0);
  const int least = channels == Channels::none ? 0 : 1;
  const Shape stored = shape_of_numbers(field);
  if (stored.rank() < least || stored.rank() > most) {
    bad_input("samples of ", field.path, " have the shape ", stored,
              ", which does not go with data.channels: set it to \"none\" where there is no axis "
              "of channels");
  }
  LACUNA_CHECK(high > low, "range ", low, " to ", high);
  shape_ = delivered_shape(stored, channels, parts_);
  if (dtype_ == DType::u8 && !as_they_are) {
    for (int value = 0; value < 256; ++value) {
      table_.push_back(static_cast<float>(std::clamp((value - low) / (high - low), 0.0, 1.0)));
    }
  }
}

template <typename T, typename To, typename Value>
void Interpretation::convert(const T* from, To* to, int64_t count, const Value& value) const {
  if (!first_) {
    for (int64_t i = 0; i < count; ++i) to[i] = value(from[i]);
    return;
  }
  const int64_t c = channels() / parts_;
  const int64_t pixels = count / std::max<int64_t>(channels(), 1);
  if (parts_ == 2) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = i / 2 / pixels, p = i / 2 % pixels;
      to[2 * (p * c + k) + i % 2] = value(from[i]);
    }
    return;
  }
  for (int64_t k = 0; k < c; ++k) {
    for (int64_t p = 0; p < pixels; ++p) to[p * c + k] = value(from[k * pixels + p]);
  }
}

Interpretation Interpretation::replacing(std::vector<double> missing) const {
  LACUNA_CHECK(static_cast<int64_t>(missing.size()) == channels(), missing.size(), " of ",
               channels());
  Interpretation made = *this;
  made.missing_ = std::move(missing);
  return made;
}

Interpretation Interpretation::centred(std::vector<double> centre) const {
  LACUNA_CHECK(as_they_are_ && static_cast<int64_t>(centre.size()) == channels(), centre.size(),
               " of ", channels());
  Interpretation made = *this;
  made.centre_ = std::move(centre);
  return made;
}

Interpretation Interpretation::presence() const {
  Interpretation made = *this;
  made.presence_ = true;
  return made;
}

Interpretation Interpretation::ranged(std::vector<double> low, std::vector<double> high) const {
  LACUNA_CHECK(static_cast<int64_t>(low.size()) == channels() && low.size() == high.size(),
               low.size(), " of ", channels());
  Interpretation made = *this;
  made.as_they_are_ = false;
  made.lows_ = std::move(low);
  made.highs_ = std::move(high);
  for (size_t c = 0; c < made.lows_.size(); ++c)
    LACUNA_CHECK(made.highs_[c] > made.lows_[c], "range ", made.lows_[c], " to ", made.highs_[c]);
  return made;
}

int64_t Interpretation::channel_of(int64_t i) const {
  if (!first_) return i % channels();
  const int64_t pixels = shape_.count() / channels();
  return i / parts_ / pixels * parts_ + i % parts_;
}

double Interpretation::delivered(double number, int64_t channel) const {
  if (as_they_are_) return number;
  const auto c = static_cast<size_t>(channel);
  const double low = lows_.empty() ? low_ : lows_[c], high = lows_.empty() ? high_ : highs_[c];
  return std::clamp((number - low) / (high - low), 0.0, 1.0);
}

void Interpretation::doubles(const void* stored, double* to) const {
  doubles_of(stored, to, shape_.count());
}

void Interpretation::floats(const void* stored, float* to) const {
  floats_of(stored, to, shape_.count());
}

int64_t Interpretation::count_of(int64_t positions) const {
  LACUNA_CHECK(!first_ && positions >= 0, positions, " of ", shape_);
  return positions * shape_.from(1).count();
}

void Interpretation::doubles(const void* stored, double* to, int64_t positions) const {
  doubles_of(stored, to, count_of(positions));
}

void Interpretation::floats(const void* stored, float* to, int64_t positions) const {
  floats_of(stored, to, count_of(positions));
}

void Interpretation::doubles_of(const void* stored, double* to, int64_t count) const {
  if (as_they_are_) {
    convert_with(stored, to, count, [](auto x) { return static_cast<double>(x); });
    if (may_miss_) mark_missing(to, count);
    return;
  }
  thread_local std::vector<float> scaled;
  scaled.resize(static_cast<size_t>(count));
  mapped_floats(stored, scaled.data(), count);
  std::copy(scaled.begin(), scaled.end(), to);
}

void Interpretation::floats_of(const void* stored, float* to, int64_t count) const {
  if (presence_)
    return convert_with(stored, to, count,
                        [](auto x) { return std::isfinite(static_cast<double>(x)) ? 1.f : 0.f; });
  mapped_floats(stored, to, count);
  if (missing_.empty()) return;
  const auto c = static_cast<size_t>(channels());
  for (int64_t i = 0; i < count; ++i) {
    const size_t channel = static_cast<size_t>(i) % c;
    if (!std::isfinite(to[i]))
      to[i] = static_cast<float>(missing_[channel] - (centre_.empty() ? 0 : centre_[channel]));
  }
}

// NaN where a number is missing.
void Interpretation::mapped_floats(const void* stored, float* to, int64_t count) const {
  if (!centre_.empty()) {
    thread_local std::vector<double> exact;
    exact.resize(static_cast<size_t>(count));
    doubles_of(stored, exact.data(), count);
    for (size_t i = 0; i < exact.size(); ++i)
      to[i] = static_cast<float>(exact[i] - centre_[i % centre_.size()]);
    return;
  }
  if (!lows_.empty()) return floats_of_own_ranges(stored, to, count);
  if (as_they_are_)
    return convert_with(stored, to, count, [](auto x) { return static_cast<float>(x); });
  if (dtype_ == DType::u8) {
    const float* table = table_.data();
    return convert(static_cast<const uint8_t*>(stored), to, count,
                   [table](uint8_t x) { return table[x]; });
  }
  const double low = low_, scale = 1 / (high_ - low_);
  if (may_miss_)
    return convert_with(stored, to, count, [low, scale](auto x) {
      const auto value = static_cast<double>(x);
      return std::isfinite(value) ? static_cast<float>(std::clamp((value - low) * scale, 0.0, 1.0))
                                  : std::numeric_limits<float>::quiet_NaN();
    });
  convert_with(stored, to, count, [low, scale](auto x) {
    return static_cast<float>(std::clamp((static_cast<double>(x) - low) * scale, 0.0, 1.0));
  });
}

void Interpretation::floats_of_own_ranges(const void* stored, float* to, int64_t count) const {
  thread_local std::vector<double> exact;
  exact.resize(static_cast<size_t>(count));
  convert_with(stored, exact.data(), count, [](auto x) { return static_cast<double>(x); });
  const size_t c = lows_.size();
  std::vector<double> scale(c);
  for (size_t k = 0; k < c; ++k) scale[k] = 1 / (highs_[k] - lows_[k]);
  for (size_t i = 0; i < exact.size(); ++i) {
    const size_t k = i % c;
    to[i] = std::isfinite(exact[i])
                ? static_cast<float>(std::clamp((exact[i] - lows_[k]) * scale[k], 0.0, 1.0))
                : std::numeric_limits<float>::quiet_NaN();
  }
}

template <typename To, typename Map>
void Interpretation::convert_with(const void* stored, To* to, int64_t count, const Map& map) const {
  switch (dtype_) {
    case DType::u8:
      return convert(static_cast<const uint8_t*>(stored), to, count, map);
    case DType::u16:
      return convert(static_cast<const uint16_t*>(stored), to, count, map);
    case DType::i16:
      return convert(static_cast<const int16_t*>(stored), to, count, map);
    case DType::i32:
      return convert(static_cast<const int32_t*>(stored), to, count, map);
    case DType::i64:
      return convert(static_cast<const int64_t*>(stored), to, count, map);
    case DType::f32:
      return convert(static_cast<const float*>(stored), to, count, map);
    case DType::f64:
      return convert(static_cast<const double*>(stored), to, count, map);
    case DType::f16:
      return convert(static_cast<const Float16*>(stored), to, count,
                     [&](Float16 x) { return map(static_cast<float>(x)); });
    case DType::bf16:
      return convert(static_cast<const BFloat16*>(stored), to, count,
                     [&](BFloat16 x) { return map(static_cast<float>(x)); });
  }
}

}  // namespace lacuna
