// Shapes as the HDF5 library has them: data spaces and the rows that a call reads or writes. For
// .cpp files of this folder, which hold a Lock.
#pragma once

#include <optional>
#include <vector>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

std::vector<hsize_t> sizes_of(const Shape& shape);

// None when no array can have them, as shape_of().
std::optional<Shape> shape_of_dims(const std::vector<hsize_t>& dims);
std::optional<Shape> shape_of_space(hid_t space);

// A data space of a shape; of no axes: of one value. `growing`: the first axis may become longer.
Handle new_space(const Shape& shape, bool growing = false);

// The rows [first, first + count) of a dataset, selected in its data space; along another axis than
// the first its entries.
Handle select_rows(hid_t dataset, const Shape& shape, int64_t first, int64_t count, int axis = 0);

// `shape` with `count` rows.
Shape with_rows(const Shape& shape, int64_t count, int axis = 0);

// Bytes of the file, or image of one, that an object is in.
uint64_t file_bytes(hid_t object);

}  // namespace lacuna::hdf5
