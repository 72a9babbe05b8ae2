// Rows of a field, read by the HDF5 library, wherever in the file they lie.
#pragma once

#include <cstdint>

#include "data/files/dataset.h"
#include "io/hdf5.h"

namespace lacuna {

// The dataset that holds a field, or the first of those that hold a row each. chunk_cache: as
// hdf5::Group::dataset() has it.
hdf5::Dataset open_stored(const hdf5::File& file, const Field& field, const FieldStorage& storage,
                          int64_t chunk_cache = 0);

// Entries [first, first + count) of the first axis of storage.shape, of type `as`; of a field
// without axes its value. `dataset`: as open_stored() gives it.
void read_stored(const hdf5::File& file, const hdf5::Dataset& dataset, const FieldStorage& storage,
                 int64_t first, int64_t count, void* to, DType as);

// A row of the samples of a file, as their numbers mean it: Field::row_bytes() of Field::dtype.
void read_sample_row(const hdf5::File& file, const Dataset& dataset, const DataFile& in,
                     int64_t row, void* to);

}  // namespace lacuna
