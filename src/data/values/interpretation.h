// Interpretation: what the stored numbers of a field mean: where its channels are, and which values
// are 0 and 1. Turns a stored sample into the floats that recipes and statistics work on.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/shape.h"
#include "data/files/dataset.h"

namespace lacuna {

// Where the channels of a stored sample are; `none` adds an axis of one channel.
enum class Channels { last, first, none };

// Whether float32 does not hold all values of the type.
constexpr bool is_wide(DType dtype) {
  return dtype == DType::f64 || dtype == DType::i64 || dtype == DType::i32;
}

class Interpretation {
 public:
  // low -> 0 and high -> 1; values beyond are clamped. high > low.
  Interpretation(const Field& field, Channels channels, double low, double high);
  // Values as they are.
  Interpretation(const Field& field, Channels channels);

  // Of a delivered sample, channels last: [H, W, C], [L, C], ...
  const Shape& shape() const { return shape_; }
  int64_t channels() const { return shape_[-1]; }
  double low() const { return low_; }
  double high() const { return high_; }
  bool as_they_are() const { return as_they_are_; }

  // The same, but of values as they are each less the centre of its channel. The difference is
  // taken in double, so that float64 and integers far from zero keep the digits in which they
  // differ, which float32 would not hold.
  Interpretation centred(std::vector<double> centre) const;
  // The same, but a number that is missing (NaN or infinite) is delivered as that of its channel,
  // in the units of what is delivered, by floats(); doubles() has NaN for it.
  Interpretation replacing(std::vector<double> missing) const;
  // The same, but each channel with numbers of its own that are 0 and 1.
  Interpretation ranged(std::vector<double> low, std::vector<double> high) const;
  bool has_own_ranges() const { return !lows_.empty(); }
  // The channel of number i of a stored sample.
  int64_t channel_of(int64_t i) const;
  // A number of a channel as it is delivered.
  double delivered(double number, int64_t channel) const;
  bool replaces() const { return !missing_.empty(); }
  // The same samples, but 1 for each number that is there and 0 for what is missing.
  Interpretation presence() const;

  // Whether a stored sample is shape() numbers in their order, none of them missing and all of one
  // range, so that they can go as they are to who maps them.
  bool keeps_order() const { return !first_ && missing_.empty() && lows_.empty(); }
  DType stored() const { return dtype_; }

  // `stored`: one sample of the field, in native byte order; `to`: shape().count() floats, in
  // [0, 1] unless values stay as they are.
  void floats(const void* stored, float* to) const;
  // As floats() has them, but values as they are in double and without a centre.
  void doubles(const void* stored, double* to) const;
  // Both of a sample of other positions along its first axis; channels must not be first.
  void floats(const void* stored, float* to, int64_t positions) const;
  void doubles(const void* stored, double* to, int64_t positions) const;

 private:
  Interpretation(const Field& field, Channels channels, double low, double high, bool as_they_are);
  template <typename T, typename To, typename Value>
  void convert(const T* from, To* to, int64_t count, const Value& value) const;
  template <typename To, typename Map>
  void convert_with(const void* stored, To* to, int64_t count, const Map& map) const;
  int64_t count_of(int64_t positions) const;
  void floats_of(const void* stored, float* to, int64_t count) const;
  void mapped_floats(const void* stored, float* to, int64_t count) const;
  void floats_of_own_ranges(const void* stored, float* to, int64_t count) const;
  void doubles_of(const void* stored, double* to, int64_t count) const;

  DType dtype_;
  bool first_;
  bool may_miss_;
  bool presence_ = false;
  int64_t parts_;  // of a number: 2 of a complex one, which are two channels
  Shape shape_;
  double low_, high_;
  bool as_they_are_;
  std::vector<double> lows_, highs_;  // of each channel; empty: low_ and high_ of all
  std::vector<double> centre_;        // of each channel; empty: none
  std::vector<double> missing_;       // of each channel; empty: no number is missing
  std::vector<float> table_;          // of the 256 values of a uint8
};

// The one that fits a sample of that shape when the configuration leaves it open: none for at most
// two axes, otherwise last.
Channels usual_channels(const Shape& sample);

}  // namespace lacuna
