// What stored numbers mean, as attributes of their dataset say (the CF conventions of NetCDF):
//
//   _FillValue, missing_value               stored numbers that stand for none
//   valid_range, valid_min, valid_max       stored numbers beyond are none
//   (none of these)                         what NetCDF itself fills floats with that nobody wrote
//   scale_factor, add_offset                a number is stored * scale_factor + add_offset
//
// A number that is missing becomes NaN.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace lacuna {

namespace hdf5 {
class Dataset;
}  // namespace hdf5

struct NumberMeaning {
  double scale = 1, offset = 0;
  bool in_double = false;       // whether scaling is to be done so
  std::vector<double> missing;  // stored numbers
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  bool scaled() const { return scale != 1 || offset != 0; }
  bool has_missing() const {
    return !missing.empty() || low > -std::numeric_limits<double>::infinity() ||
           high < std::numeric_limits<double>::infinity();
  }
  bool plain() const { return !scaled() && !has_missing(); }
  friend bool operator==(const NumberMeaning&, const NumberMeaning&) = default;
};

// bad_input where attributes contradict each other or are no numbers.
NumberMeaning meaning_of(const hdf5::Dataset& dataset, DType stored);

// `count` stored numbers as those that they mean: float32 or float64.
void decode_numbers(const void* stored, DType dtype, const NumberMeaning& meaning, int64_t count,
                    void* to, DType as);

// Sets those to NaN whose validity is 0. Number i has the validity of i / repeat, or, where that is
// 0, of i modulo `validities`.
struct Validity {
  int64_t repeat = 0;
  int64_t validities = 1;  // of a row
};
void hide_invalid(void* numbers, DType dtype, int64_t count, const void* valid, DType valid_type,
                  const Validity& validity);

}  // namespace lacuna
