// Members of compound types, which are the columns of tables, and of enumerations. For .cpp files
// of this folder, which hold a Lock.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

std::vector<std::string> member_names(hid_t type);

// Whether the dataset is a table with a column of this name.
bool has_column(hid_t dataset, const std::string& column);

// The axes of one entry of a column: none, but where the member is an array.
Shape axes_of_column(hid_t dataset, const std::string& column);
// Of that member of a compound type, the type of its elements.
Handle element_of_column(hid_t compound, const std::string& column);
// A compound type of one member, which is `element` or an array of it.
Handle with_only_member(const std::string& column, hid_t element, const Shape& axes);

std::vector<int64_t> sizes_with(std::span<const int64_t> first, std::span<const int64_t> then);

// Of an enumeration.
std::map<int64_t, std::string> names_of_values(hid_t enumeration);

}  // namespace lacuna::hdf5
