#include "io/hdf5_tables.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "io/hdf5_spaces.h"

namespace lacuna::hdf5 {

namespace {

std::string take_text(char* text) {
  std::string copy = text == nullptr ? "" : text;
  H5free_memory(text);
  return copy;
}

Handle member_type(hid_t compound, const std::string& column) {
  const int index = H5Tget_member_index(compound, column.c_str());
  LACUNA_CHECK(index >= 0, column);
  return own<H5Tclose>(H5Tget_member_type(compound, static_cast<unsigned>(index)));
}

std::vector<hsize_t> array_dims(hid_t type) {
  if (H5Tget_class(type) != H5T_ARRAY) return {};
  std::vector<hsize_t> dims(static_cast<size_t>(H5Tget_array_ndims(type)));
  H5Tget_array_dims2(type, dims.data());
  return dims;
}

}  // namespace

std::vector<std::string> member_names(hid_t type) {
  std::vector<std::string> names;
  for (int i = 0; i < H5Tget_nmembers(type); ++i)
    names.push_back(take_text(H5Tget_member_name(type, static_cast<unsigned>(i))));
  return names;
}

bool has_column(hid_t dataset, const std::string& column) {
  const Handle type = own<H5Tclose>(H5Dget_type(dataset));
  return H5Tget_class(type.id()) == H5T_COMPOUND &&
         H5Tget_member_index(type.id(), column.c_str()) >= 0;
}

Shape axes_of_column(hid_t dataset, const std::string& column) {
  const Handle table = own<H5Tclose>(H5Dget_type(dataset));
  const Handle type = member_type(table.id(), column);
  const std::vector<hsize_t> dims = array_dims(type.id());
  const std::optional<Shape> axes =
      dims.size() > Shape::max_rank ? std::nullopt : shape_of_dims(dims);
  if (!axes) bad_input("the column ", column, " of a table holds arrays that are too large");
  return *axes;
}

Handle element_of_column(hid_t compound, const std::string& column) {
  Handle type = member_type(compound, column);
  if (H5Tget_class(type.id()) != H5T_ARRAY) return type;
  return own<H5Tclose>(H5Tget_super(type.id()));
}

Handle with_only_member(const std::string& column, hid_t element, const Shape& axes) {
  const std::vector<hsize_t> dims = sizes_of(axes);
  const Handle member =
      own<H5Tclose>(axes.rank() == 0 ? H5Tcopy(element)
                                     : H5Tarray_create2(element, static_cast<unsigned>(axes.rank()),
                                                        dims.data()));
  Handle compound = own<H5Tclose>(H5Tcreate(H5T_COMPOUND, H5Tget_size(member.id())));
  H5Tinsert(compound.id(), column.c_str(), 0, member.id());
  return compound;
}

std::vector<int64_t> sizes_with(std::span<const int64_t> first, std::span<const int64_t> then) {
  std::vector<int64_t> all(first.begin(), first.end());
  all.insert(all.end(), then.begin(), then.end());
  return all;
}

std::map<int64_t, std::string> names_of_values(hid_t enumeration) {
  std::map<int64_t, std::string> names;
  const Handle base = own<H5Tclose>(H5Tget_super(enumeration));
  const std::vector<std::string> members = member_names(enumeration);
  for (size_t i = 0; i < members.size(); ++i) {
    std::array<std::byte, 64> value{};  // room for the widest integer there is
    if (H5Tget_size(enumeration) > value.size() ||
        H5Tget_member_value(enumeration, static_cast<unsigned>(i), value.data()) < 0 ||
        H5Tconvert(base.id(), H5T_NATIVE_INT64, 1, value.data(), nullptr, H5P_DEFAULT) < 0)
      continue;
    int64_t number = 0;
    std::memcpy(&number, value.data(), sizeof number);
    names[number] = members[i];
  }
  return names;
}

}  // namespace lacuna::hdf5
