#include "data/files/meaning.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/files/decode.h"
#include "io/hdf5.h"

namespace lacuna {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

// The values of an attribute; none where there is no such attribute.
std::vector<double> numbers_of(const hdf5::Dataset& dataset, const std::string& name) {
  const auto shape = dataset.attribute_shape(name);
  if (!shape || shape->count() == 0) return {};
  if (dataset.attribute_type(name) == "text")
    bad_input("attribute ", name, " of ", dataset.path(), " in ", dataset.file(), " is the text \"",
              dataset.text(name), "\", and numbers are needed: write it as a number, or remove it");
  return dataset.numbers(name);
}

// NetCDF's way to call signed integers unsigned.
void refuse_unsigned(const hdf5::Dataset& dataset, DType stored) {
  constexpr const char* name = "_Unsigned";
  if (is_float(stored) || !dataset.has_attribute(name)) return;
  bad_input("the integers of ", dataset.path(), " in ", dataset.file(), " have the attribute ",
            name,
            ", by which their sign is not what their type says, and which is not read: write them "
            "with the type that they are meant in, or remove the attribute");
}

// Of an attribute of one number; `otherwise` where there is none.
double number_of(const hdf5::Dataset& dataset, const std::string& name, double otherwise) {
  const std::vector<double> values = numbers_of(dataset, name);
  if (values.empty()) return otherwise;
  if (values.size() == 1 && std::isfinite(values[0])) return values[0];
  bad_input("attribute ", name, " of ", dataset.path(), " in ", dataset.file(), " has ",
            values.size(), " values, and one finite number is needed: set it right, or remove it");
}

// As a stored number of that type is: 1e20 in float32 is not 1e20 in float64.
double in_type(double value, DType dtype) {
  if (dtype == DType::f32) return static_cast<double>(static_cast<float>(value));
  if (dtype == DType::f16)
    return static_cast<double>(static_cast<float>(Float16(static_cast<float>(value))));
  if (dtype == DType::bf16)
    return static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(value))));
  return value;
}

void read_limits(const hdf5::Dataset& dataset, DType stored, NumberMeaning& meaning) {
  const std::vector<double> range = numbers_of(dataset, "valid_range");
  if (range.size() != 0 && !(range.size() == 2 && range[0] < range[1]))
    bad_input("attribute valid_range of ", dataset.path(), " in ", dataset.file(),
              " must be two numbers, the least first: set it right, or remove it");
  const auto limit = [&](const char* name, size_t which, double none) {
    const bool both = !range.empty();
    const double value = both ? range[which] : number_of(dataset, name, none);
    if (!std::isfinite(value)) return none;
    // Of packed integers it is packed too, or else of another type than they.
    const bool unpacked = meaning.scaled() && !is_float(stored) &&
                          dataset.attribute_type(both ? "valid_range" : name).starts_with("float");
    return unpacked ? (value - meaning.offset) / meaning.scale : in_type(value, stored);
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  meaning.low = limit("valid_min", 0, -infinity);
  meaning.high = limit("valid_max", 1, infinity);
  if (meaning.scale < 0 && meaning.low > meaning.high) std::swap(meaning.low, meaning.high);
}

template <typename T>
double as_double(T value) {
  if constexpr (std::is_arithmetic_v<T>)
    return static_cast<double>(value);
  else
    return static_cast<double>(static_cast<float>(value));
}

template <typename T, typename To>
void decode_as(const T* stored, const NumberMeaning& meaning, int64_t count, To* to) {
  const auto scale = static_cast<To>(meaning.scale), offset = static_cast<To>(meaning.offset);
  const bool scaled = meaning.scaled(), checked = meaning.has_missing();
  for (int64_t i = 0; i < count; ++i) {
    const double value = as_double(stored[i]);
    const bool is_missing = checked && (!(value >= meaning.low && value <= meaning.high) ||
                                        std::find(meaning.missing.begin(), meaning.missing.end(),
                                                  value) != meaning.missing.end());
    if (is_missing) {
      to[i] = static_cast<To>(nothing);
      continue;
    }
    To result = static_cast<To>(value);
    if (scaled) {
      result *= scale;  // two roundings, as NumPy has them
      result += offset;
    }
    to[i] = result;
  }
}

template <typename To>
void decode_to(const void* stored, DType dtype, const NumberMeaning& meaning, int64_t count,
               To* to) {
  switch (dtype) {
    case DType::u8:
      return decode_as(static_cast<const uint8_t*>(stored), meaning, count, to);
    case DType::u16:
      return decode_as(static_cast<const uint16_t*>(stored), meaning, count, to);
    case DType::i16:
      return decode_as(static_cast<const int16_t*>(stored), meaning, count, to);
    case DType::i32:
      return decode_as(static_cast<const int32_t*>(stored), meaning, count, to);
    case DType::i64:
      return decode_as(static_cast<const int64_t*>(stored), meaning, count, to);
    case DType::f32:
      return decode_as(static_cast<const float*>(stored), meaning, count, to);
    case DType::f64:
      return decode_as(static_cast<const double*>(stored), meaning, count, to);
    case DType::f16:
      return decode_as(static_cast<const Float16*>(stored), meaning, count, to);
    case DType::bf16:
      return decode_as(static_cast<const BFloat16*>(stored), meaning, count, to);
  }
}

template <typename T>
void hide(T* numbers, int64_t count, const void* valid, DType valid_type,
          const Validity& validity) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = validity.repeat > 0 ? i / validity.repeat : i % validity.validities;
    if (element_value(valid, at, valid_type) == 0) numbers[i] = static_cast<T>(nothing);
  }
}

}  // namespace

NumberMeaning meaning_of(const hdf5::Dataset& dataset, DType stored) {
  refuse_unsigned(dataset, stored);
  NumberMeaning meaning;
  meaning.scale = number_of(dataset, "scale_factor", 1);
  meaning.offset = number_of(dataset, "add_offset", 0);
  if (meaning.scale == 0)
    bad_input("attribute scale_factor of ", dataset.path(), " in ", dataset.file(),
              " is 0: set it right, or remove it");
  for (const char* name : {"scale_factor", "add_offset"})
    meaning.in_double |= meaning.scaled() && dataset.attribute_shape(name) &&
                         dataset.attribute_type(name) != "float32";
  for (const char* name : {"_FillValue", "missing_value"})
    for (const double value : numbers_of(dataset, name))
      if (!std::isnan(value)) meaning.missing.push_back(in_type(value, stored));
  constexpr double netcdf = 9.969209968386869e36;  // NC_FILL_FLOAT and NC_FILL_DOUBLE
  if (is_float(stored) && dataset.fill_value() == netcdf) meaning.missing.push_back(netcdf);
  read_limits(dataset, stored, meaning);
  return meaning;
}

void decode_numbers(const void* stored, DType dtype, const NumberMeaning& meaning, int64_t count,
                    void* to, DType as) {
  if (as == DType::f32) return decode_to(stored, dtype, meaning, count, static_cast<float*>(to));
  LACUNA_CHECK(as == DType::f64, name_of(as));
  decode_to(stored, dtype, meaning, count, static_cast<double*>(to));
}

void hide_invalid(void* numbers, DType dtype, int64_t count, const void* valid, DType valid_type,
                  const Validity& validity) {
  if (dtype == DType::f32)
    return hide(static_cast<float*>(numbers), count, valid, valid_type, validity);
  LACUNA_CHECK(dtype == DType::f64, name_of(dtype));
  hide(static_cast<double*>(numbers), count, valid, valid_type, validity);
}

}  // namespace lacuna
