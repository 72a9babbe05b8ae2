// What one file tells of one field: for the index of a data set.
#pragma once

#include <string>
#include <vector>

#include "data/files/field.h"
#include "io/hdf5.h"

namespace lacuna {

// The shape with one more axis of two behind, for real and imaginary parts.
Shape with_parts(const Shape& shape);

// What one number is: itself, or a part of a complex one. bad_input where it is not supported.
DType number_type(const hdf5::Dataset& dataset);

// Adds what the type of the samples says of their numbers: type, type_range, complex.
void describe_type(const hdf5::Dataset& dataset, Field& field);

// How the dataset is stored. `rows`: its shape with rows in front. `last`: whether the stored last
// axis counts them. `members`: datasets that are a row each, of which this is the first.
FieldStorage storage_of(const hdf5::File& file, const hdf5::Dataset& dataset, const Shape& rows,
                        bool last, std::vector<std::string> members);

// bad_input unless the members look like the first of them, their attributes too where they count.
void check_members(const hdf5::File& file, const std::vector<std::string>& members,
                   const hdf5::Dataset& first, bool by_attributes);

// Lengths of the lists that are attributes, but for those that belong to HDF5 and NetCDF.
std::vector<int64_t> lists_of(const hdf5::Dataset& dataset);

}  // namespace lacuna
