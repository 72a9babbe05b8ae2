// A field of a data set: what belongs to each sample, and how a file stores it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "data/files/meaning.h"

namespace lacuna {

// The field that says of a data set's samples which of their numbers count: not 0 where they do.
inline constexpr const char* valid_field = "valid";

struct FieldSpec {
  std::string name;  // in a batch: "image", "label"
  std::string path;  // in the files: "/train/images"; or a pattern of datasets, a row each
};

// dtype, shape: of the values that a data set delivers.
struct Field {
  std::string name, path;
  DType dtype = DType::f32;
  Shape shape;       // of one row: of one sample, unless that may be several rows
  int row_axes = 1;  // axes of the stored values in front of those
  // Of lists that are attributes of the first file's dataset: wavelengths, names of bands.
  std::vector<int64_t> lists = {};
  // Of the samples: what is stored, as people call it ("uint8", "complex64"); the numbers that the
  // type alone says to be the least and the greatest; and the rest of what their numbers mean.
  std::string type = {};
  std::optional<std::array<double, 2>> type_range = {};
  std::string units = {};
  bool complex = false;      // the last axis of shape is real and imaginary part
  bool scaled = false;       // by scale_factor and add_offset
  bool has_missing = false;  // attributes or a column of validity say so
  bool may_miss = false;     // a number may be NaN or infinite, and is missing then
  bool per_series = false;   // whether a row is there for each series, not for each sample
  int64_t row_bytes() const { return shape.count() * static_cast<int64_t>(size_of(dtype)); }
};

// How one file stores one field.
struct FieldStorage {
  Shape shape;        // of all of it; samples along the last axis are told as along the first
  Shape chunk;        // likewise; no axes: not chunked
  bool last = false;  // rows lie along the stored last axis
  std::vector<std::string> members;  // datasets that are one row each; else empty
  DType dtype = DType::f32;          // of what is stored, as it is read
  bool complex = false;              // the last axis of shape is real and imaginary part
  NumberMeaning meaning = {};        // of the samples
  bool contiguous = false;
  bool direct = false;  // may be read without the library, as far as the index can tell
  bool big_endian = false;
  std::vector<int> filters;  // numbers of HDF5's filters, in the order of writing
  bool compressed = false;   // other filters than shuffle and fletcher32
};

}  // namespace lacuna
