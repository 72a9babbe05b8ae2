#include "io/hdf5.h"

#include <algorithm>

#include "io/hdf5_private.h"
#include "io/hdf5_spaces.h"
#include "io/hdf5_texts.h"

namespace lacuna::hdf5 {

namespace {

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* data) {
  static_cast<std::vector<std::string>*>(data)->emplace_back(name);
  return 0;
}

// Of the elements of an attribute, which its file holds as they are; bad_input when it cannot.
size_t attribute_count(const Node& node, const std::string& name, hid_t attribute) {
  const Handle space = own<H5Sclose>(H5Aget_space(attribute));
  const Handle type = own<H5Tclose>(H5Aget_type(attribute));
  const auto count = static_cast<uint64_t>(H5Sget_simple_extent_npoints(space.id()));
  const uint64_t size = std::max<size_t>(1, H5Tget_size(type.id()));
  if (count > file_bytes(node.id()) / size) {
    bad_input("attribute ", name, " of ", node.path(), " in ", node.file(),
              " has more values than the file can hold: the file is damaged, copy it again");
  }
  return count;
}

void set_attribute(const Node& node, const std::string& name, hid_t type, hid_t memory,
                   const Handle& space, const void* values) {
  if (H5Aexists(node.id(), name.c_str()) > 0) H5Adelete(node.id(), name.c_str());
  const Handle attribute = own<H5Aclose>(
      H5Acreate2(node.id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT));
  const std::string what = concat("attribute ", name, " of ", node.path());
  if (!attribute) cannot_write(node.file(), what);
  check_write(H5Awrite(attribute.id(), memory, values), node.file(), what);
}

Handle open_attribute(const Node& node, const std::string& name) {
  Handle attribute = own<H5Aclose>(H5Aopen(node.id(), name.c_str(), H5P_DEFAULT));
  if (!attribute) bad_input(node.path(), " in ", node.file(), " has no attribute ", name);
  return attribute;
}

// All values of a numeric attribute, as T.
template <typename T>
std::vector<T> attribute_values(const Node& node, const std::string& name) {
  const Lock lock;
  const Handle attribute = open_attribute(node, name);
  std::vector<T> values(attribute_count(node, name, attribute.id()));
  if (!values.empty() &&
      H5Aread(attribute.id(), memory_type(dtype_of<T>).id(), values.data()) < 0) {
    bad_input("attribute ", name, " of ", node.path(), " in ", node.file(), " is no number");
  }
  return values;
}

template <typename T>
T attribute_value(const Node& node, const std::string& name) {
  const std::vector<T> values = attribute_values<T>(node, name);
  if (values.size() != 1) {
    bad_input("attribute ", name, " of ", node.path(), " in ", node.file(), " has ", values.size(),
              " values instead of one");
  }
  return values[0];
}

}  // namespace

std::vector<std::string> Node::attributes() const {
  const Lock lock;
  std::vector<std::string> names;
  hsize_t position = 0;
  H5Aiterate2(id(), H5_INDEX_NAME, H5_ITER_INC, &position, collect_attribute, &names);
  return names;
}

bool Node::has_attribute(const std::string& name) const {
  const Lock lock;
  return H5Aexists(id(), name.c_str()) > 0;
}

std::optional<Shape> Node::attribute_shape(const std::string& name) const {
  const Lock lock;
  if (H5Aexists(id(), name.c_str()) <= 0) return std::nullopt;
  const Handle attribute = open_attribute(*this, name);
  const Handle space = own<H5Sclose>(H5Aget_space(attribute.id()));
  return shape_of_space(space.id());
}

std::string Node::attribute_type(const std::string& name) const {
  const Lock lock;
  if (H5Aexists(id(), name.c_str()) <= 0) return "";
  const Handle attribute = open_attribute(*this, name);
  const Handle type = own<H5Tclose>(H5Aget_type(attribute.id()));
  switch (H5Tget_class(type.id())) {
    case H5T_STRING:
      return "text";
    case H5T_INTEGER:
      return "integer";
    case H5T_FLOAT:
      return H5Tget_size(type.id()) == 4 ? "float32" : "float64";
    default:
      return "other";
  }
}

void Node::set(const std::string& name, const std::string& text) {
  const Lock lock;
  const Handle type = text_type();
  const char* value = text.c_str();
  set_attribute(*this, name, type.id(), type.id(), new_space({}), &value);
}

void Node::set(const std::string& name, int64_t value) {
  const Lock lock;
  set_attribute(*this, name, H5T_STD_I64LE, H5T_NATIVE_INT64, new_space({}), &value);
}

void Node::set(const std::string& name, double value) {
  const Lock lock;
  set_attribute(*this, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, new_space({}), &value);
}

void Node::set(const std::string& name, std::span<const double> values) {
  const Lock lock;
  set_attribute(*this, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                new_space({static_cast<int64_t>(values.size())}), values.data());
}

void Node::set(const std::string& name, std::span<const int64_t> values) {
  const Lock lock;
  set_attribute(*this, name, H5T_STD_I64LE, H5T_NATIVE_INT64,
                new_space({static_cast<int64_t>(values.size())}), values.data());
}

void Node::set(const std::string& name, std::span<const std::string> texts) {
  const Lock lock;
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  const Handle type = text_type();
  set_attribute(*this, name, type.id(), type.id(), new_space({static_cast<int64_t>(texts.size())}),
                pointers.data());
}

std::string Node::text(const std::string& name) const {
  const std::vector<std::string> all = texts(name);
  if (all.size() != 1) {
    bad_input("attribute ", name, " of ", path_, " in ", file_, " has ", all.size(),
              " texts instead of one");
  }
  return all[0];
}

std::vector<std::string> Node::texts(const std::string& name) const {
  const Lock lock;
  const Handle attribute = open_attribute(*this, name);
  const Handle type = own<H5Tclose>(H5Aget_type(attribute.id()));
  if (H5Tget_class(type.id()) != H5T_STRING) {
    bad_input("attribute ", name, " of ", path_, " in ", file_, " is no text");
  }
  const Handle space = own<H5Sclose>(H5Aget_space(attribute.id()));
  const size_t count = attribute_count(*this, name, attribute.id());
  return collect_texts(type.id(), space.id(), count, [&](hid_t memory, void* to) {
    return H5Aread(attribute.id(), memory, to) >= 0;
  });
}

int64_t Node::integer(const std::string& name) const {
  return attribute_value<int64_t>(*this, name);
}
double Node::number(const std::string& name) const { return attribute_value<double>(*this, name); }
std::vector<double> Node::numbers(const std::string& name) const {
  return attribute_values<double>(*this, name);
}
std::vector<int64_t> Node::integers(const std::string& name) const {
  return attribute_values<int64_t>(*this, name);
}

}  // namespace lacuna::hdf5
