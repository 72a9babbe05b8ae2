#include "data/files/field_storage.h"

#include "base/error.h"
#include "data/files/layout.h"

namespace lacuna {

namespace {

constexpr int deflate_filter = 1, shuffle_filter = 2, fletcher32_filter = 3;

}  // namespace

Shape with_parts(const Shape& shape) {
  std::vector<int64_t> sizes(shape.sizes().begin(), shape.sizes().end());
  sizes.push_back(2);
  return Shape(std::span<const int64_t>(sizes));
}

// What one number is: itself, or a part of a complex one.
DType number_type(const hdf5::Dataset& dataset) {
  const std::optional<hdf5::Element> complex = dataset.complex();
  return complex ? complex->dtype : dataset.dtype();
}

// What the type of the samples says of their numbers.
void describe_type(const hdf5::Dataset& dataset, Field& field) {
  using Kind = hdf5::Element::Kind;
  field.complex = dataset.complex().has_value();
  field.type = dataset.type_text();
  if (field.complex) return;
  const hdf5::Element element = dataset.element();
  const bool logical =
      dataset.attribute_type("MATLAB_class") == "text" && dataset.text("MATLAB_class") == "logical";
  if (logical) field.type = "bool";
  if (element.kind == Kind::boolean || logical)
    field.type_range = {0, 1};
  else if (element.kind == Kind::enumeration && element.low < element.high)
    field.type_range = {element.low, element.high};
  else if (element.kind == Kind::number && field.dtype == DType::u8)
    field.type_range = {0, 255};
  else if (element.kind == Kind::number && field.dtype == DType::u16)
    field.type_range = {0, 65535};
}

// `rows`: the shape with rows in front. `last`: whether the stored last axis counts them.
FieldStorage storage_of(const hdf5::File& file, const hdf5::Dataset& dataset, const Shape& rows,
                        bool last, std::vector<std::string> members) {
  const std::optional<hdf5::Element> complex = dataset.complex();
  const hdf5::Element element = complex ? *complex : dataset.element();
  FieldStorage storage;
  storage.dtype = element.dtype;
  storage.complex = complex.has_value();
  storage.shape = rows;
  storage.members = std::move(members);
  storage.last = last;
  const bool as_stored = !last && storage.members.empty();
  if (storage.members.empty()) {
    storage.chunk = dataset.chunk();
    if (last && storage.chunk.rank() > 0) storage.chunk = last_axis_first(storage.chunk);
    if (complex && storage.chunk.rank() > 0) storage.chunk = with_parts(storage.chunk);
  }
  storage.contiguous = as_stored && dataset.contiguous();
  storage.big_endian = element.big_endian;
  bool known = true;
  for (const hdf5::Filter& filter : dataset.filters()) {
    storage.filters.push_back(filter.id);
    known &= filter.id == deflate_filter || filter.id == shuffle_filter ||
             filter.id == fletcher32_filter;
    storage.compressed |= filter.id != shuffle_filter && filter.id != fletcher32_filter;
  }
  storage.direct = as_stored && element.direct && file.plain_driver() && known &&
                   (storage.contiguous || storage.chunk.rank() > 0);
  return storage;
}

// bad_input unless they look like the first of them.
void check_members(const hdf5::File& file, const std::vector<std::string>& members,
                   const hdf5::Dataset& first, bool by_attributes) {
  const DType type = number_type(first);
  const NumberMeaning meaning = by_attributes ? meaning_of(first, type) : NumberMeaning{};
  for (const std::string& path : members) {
    const hdf5::Dataset member = file.dataset(path);
    member.check_size();
    if (member.shape() != first.shape() || member.type_text() != first.type_text())
      bad_input(path, " in ", file.file(), " is ", member.shape(), " ", member.type_text(),
                ", but ", first.path(), " is ", first.shape(), " ", first.type_text(),
                "; all datasets that are samples must agree");
    if (by_attributes && meaning_of(member, type) != meaning)
      bad_input(path, " in ", file.file(), " has other attributes than ", first.path(),
                " that say what its numbers mean: write all of them alike");
  }
}

// Lengths of the lists that are attributes, but for those that belong to HDF5 and NetCDF.
std::vector<int64_t> lists_of(const hdf5::Dataset& dataset) {
  std::vector<int64_t> lengths;
  for (const std::string& name : dataset.attributes()) {
    if (name.starts_with("_") || name == "DIMENSION_LIST" || name == "REFERENCE_LIST" ||
        name == "DIMENSION_LABELS" || name == "valid_range" || name == "actual_range")
      continue;
    const std::optional<Shape> shape = dataset.attribute_shape(name);
    if (shape && shape->rank() == 1 && (*shape)[0] > 1) lengths.push_back((*shape)[0]);
  }
  return lengths;
}

}  // namespace lacuna
