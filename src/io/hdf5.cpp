#include "io/hdf5.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;  // the library itself is one per process
  return mutex;
}

herr_t remember_innermost(unsigned, const H5E_error2_t* error, void* data) {
  auto& failure = *static_cast<Failure*>(data);
  if (error->desc == nullptr) return 0;
  failure.text = error->desc;
  if (const char* at = std::strstr(error->desc, "errno = ")) {
    failure.error_number = std::atoi(at + 8);
  }
  return 0;
}

// Every description on the stack, for recognising a cause.
herr_t append_description(unsigned, const H5E_error2_t* error, void* data) {
  if (error->desc != nullptr) static_cast<std::string*>(data)->append(error->desc).append("\n");
  return 0;
}

std::string failure_stack() {
  std::string all;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_description, &all);
  return all;
}

// The sentence for a file that could not be written.
[[noreturn]] void cannot_write(const std::string& file, const std::string& what) {
  const Failure failure = last_failure();
  const std::string why =
      failure.error_number != 0 ? std::strerror(failure.error_number) : failure.text;
  const bool full = failure.error_number == ENOSPC || failure.error_number == EDQUOT;
  throw Error(ExitStatus::no_space,
              concat("cannot write ", what, " in ", file, ": ", why,
                     full ? "; free space or choose another folder, then start again"
                          : "; check the folder and its permissions"));
}

// What is copied has types that only its own file knows.
[[noreturn]] void cannot_copy(const Dataset& from, const std::string& why) {
  bad_input("cannot copy ", from.path(), " in ", from.file(), ": ", why,
            "; the file may be damaged: copy it again");
}

void check_write(herr_t status, const std::string& file, const std::string& what) {
  if (status < 0) cannot_write(file, what);
}

// A float type of 16 bits that the library has no name for.
Handle half_precision(size_t exponent_bits, size_t mantissa_bits, size_t bias, bool big_endian) {
  const hid_t type = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, mantissa_bits, exponent_bits, 0, mantissa_bits);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, bias);
  return own<H5Tclose>(type);
}

hid_t predefined(DType dtype, bool big_endian) {
  switch (dtype) {
    case DType::f64:
      return big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
    case DType::f32:
      return big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
    case DType::i64:
      return big_endian ? H5T_STD_I64BE : H5T_STD_I64LE;
    case DType::i32:
      return big_endian ? H5T_STD_I32BE : H5T_STD_I32LE;
    case DType::u16:
      return big_endian ? H5T_STD_U16BE : H5T_STD_U16LE;
    case DType::i16:
      return big_endian ? H5T_STD_I16BE : H5T_STD_I16LE;
    case DType::u8:
      return H5T_STD_U8LE;
    case DType::bf16:
    case DType::f16:
      break;
  }
  return -1;
}

constexpr bool host_is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

std::vector<hsize_t> sizes_of(const Shape& shape) {
  return {shape.sizes().begin(), shape.sizes().end()};
}

std::optional<Shape> shape_of_dims(const std::vector<hsize_t>& dims) {
  const std::vector<int64_t> sizes(dims.begin(), dims.end());  // beyond 2^63: negative
  return shape_of(sizes);
}

std::optional<Shape> shape_of_space(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) return std::nullopt;
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  if (rank > 0 && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) return std::nullopt;
  return shape_of_dims(dims);
}

// Bytes of the file, or image of one, that an object is in.
uint64_t file_bytes(hid_t object) {
  const Handle file = own<H5Fclose>(H5Iget_file_id(object));
  hsize_t bytes = 0;
  return file && H5Fget_filesize(file.id(), &bytes) >= 0 ? bytes : 0;
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

Handle new_space(const Shape& shape, bool growing = false) {
  if (shape.rank() == 0) return own<H5Sclose>(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> dims = sizes_of(shape);
  std::vector<hsize_t> most = dims;
  if (growing) most[0] = H5S_UNLIMITED;
  return own<H5Sclose>(H5Screate_simple(shape.rank(), dims.data(), most.data()));
}

// The rows [first, first + count) of a dataset, selected in its data space.
Handle select_rows(hid_t dataset, const Shape& shape, int64_t first, int64_t count) {
  Handle space = own<H5Sclose>(H5Dget_space(dataset));
  if (shape.rank() == 0) return space;
  LACUNA_CHECK(first >= 0 && count >= 0 && first + count <= shape[0], "rows ", first, " + ", count,
               " of ", shape);
  std::vector<hsize_t> start(static_cast<size_t>(shape.rank()), 0);
  std::vector<hsize_t> size = sizes_of(shape);
  start[0] = static_cast<hsize_t>(first);
  size[0] = static_cast<hsize_t>(count);
  if (count == 0) {
    H5Sselect_none(space.id());
  } else {
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  }
  return space;
}

Shape with_rows(const Shape& shape, int64_t count) {
  if (shape.rank() == 0) return shape;
  Shape rows = shape;
  rows.set(0, count);
  return rows;
}

Handle text_type() {
  Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

// The texts of a fixed- or variable-length string selection, read by `read(type, buffer)`.
template <typename Read>
std::vector<std::string> collect_texts(hid_t stored_type, hid_t space, size_t count,
                                       const Read& read) {
  std::vector<std::string> texts;
  if (H5Tis_variable_str(stored_type) > 0) {
    const Handle type = own<H5Tclose>(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.id(), H5T_VARIABLE);
    H5Tset_cset(type.id(), H5Tget_cset(stored_type));
    std::vector<char*> pointers(count, nullptr);
    if (!read(type.id(), pointers.data())) return {};
    for (const char* p : pointers) texts.emplace_back(p == nullptr ? "" : p);
    H5Dvlen_reclaim(type.id(), space, H5P_DEFAULT, pointers.data());
  } else {
    const size_t length = H5Tget_size(stored_type);
    std::string all(count * length, '\0');
    if (!read(stored_type, all.data())) return {};
    const bool spaces = H5Tget_strpad(stored_type) == H5T_STR_SPACEPAD;
    for (size_t i = 0; i < count; ++i) {
      std::string text = all.substr(i * length, length);
      text.resize(std::strlen(text.c_str()));
      while (spaces && !text.empty() && text.back() == ' ') text.pop_back();
      texts.push_back(std::move(text));
    }
  }
  return texts;
}

std::string class_text(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return "text";
    case H5T_COMPOUND:
      return "compound";
    case H5T_REFERENCE:
      return "references";
    case H5T_ENUM:
      return "enumeration";
    case H5T_VLEN:
      return "variable-length";
    case H5T_ARRAY:
      return "array";
    case H5T_OPAQUE:
      return "opaque";
    case H5T_BITFIELD:
      return "bit field";
    case H5T_TIME:
      return "time";
    case H5T_INTEGER:
      return concat(H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", "int", 8 * H5Tget_size(type));
    case H5T_FLOAT:
      return concat("float", 8 * H5Tget_size(type), " of an unusual layout");
    default:
      return "unknown";
  }
}

bool equal(hid_t type, const Handle& other) { return H5Tequal(type, other.id()) > 0; }

// The element for a stored type, or none when it is not supported.
std::optional<Element> element_of(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_ENUM) {  // h5py stores bool as an enumeration of int8
    const Handle base = own<H5Tclose>(H5Tget_super(type));
    std::optional<Element> element = element_of(base.id());
    if (element && H5Tget_size(type) == 1) return Element{DType::u8, false, true};
    return element;
  }
  if (kind == H5T_FLOAT) {
    for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      for (const bool big : {false, true}) {
        if (equal(type, file_type(dtype, big))) return Element{dtype, big, true};
      }
    }
    return std::nullopt;
  }
  if (kind != H5T_INTEGER) return std::nullopt;
  for (const DType dtype : {DType::u8, DType::i64, DType::i32, DType::i16, DType::u16}) {
    for (const bool big : {false, true}) {
      if (equal(type, file_type(dtype, big)))
        return Element{dtype, big && dtype != DType::u8, true};
    }
  }
  // The rest is converted by the library into a type that holds every value (uint64 labels beyond
  // 2^63 saturate).
  const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
  switch (H5Tget_size(type)) {
    case 1:
      return Element{is_signed ? DType::i16 : DType::u8, false, false};
    case 2:
      return Element{is_signed ? DType::i16 : DType::u16, false, false};
    case 4:
      return Element{is_signed ? DType::i32 : DType::i64, false, false};
    case 8:
      return Element{DType::i64, false, false};
    default:
      return std::nullopt;
  }
}

bool locking_refused(const std::string& stack) {
  return stack.find("unable to lock") != std::string::npos;
}

Handle access_properties(bool locking) {
  Handle properties = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 14, 0) || (H5_VERS_MINOR == 12 && H5_VERS_RELEASE >= 1) || \
    (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  if (!locking) H5Pset_file_locking(properties.id(), false, true);
#else
  if (!locking) setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
#endif
  return properties;
}

// Members of the folder of a path that is not there, for "did you mean".
std::string nearest_file(const std::string& path) {
  const std::filesystem::path wanted(path);
  const std::filesystem::path folder = wanted.has_parent_path() ? wanted.parent_path() : ".";
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator i(folder, error), end; !error && i != end;
       i.increment(error)) {
    names.push_back(i->path().filename().string());
  }
  return nearest(wanted.filename().string(), names);
}

void refuse_unless_readable(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      bad_input("cannot read ", path, ": ", std::strerror(errno));
    }
    const std::string near = nearest_file(path);
    bad_input("there is no file ", path, near.empty() ? "" : concat("; did you mean ", near, "?"));
  }
  if (S_ISDIR(status.st_mode)) bad_input(path, " is a folder, not an HDF5 file");
  if (access(path.c_str(), R_OK) != 0) {
    bad_input("cannot read ", path, ": ", std::strerror(errno), "; check its permissions");
  }
}

[[noreturn]] void refuse_broken(const std::string& path) {
  const std::string stack = failure_stack();
  struct stat status {};
  stat(path.c_str(), &status);
  if (H5Fis_hdf5(path.c_str()) == 0) {
    bad_input(path, " is not an HDF5 file", status.st_size == 0 ? " (it is empty)" : "",
              "; make one with tools/import or h5py");
  }
  if (stack.find("truncated file") != std::string::npos) {
    const size_t at = stack.find("stored_eof = ");
    const std::string expected =
        at == std::string::npos
            ? ""
            : stack.substr(at + 13, stack.find_first_not_of("0123456789", at + 13) - at - 13);
    bad_input(path, " is truncated: it has ", status.st_size, " bytes",
              expected.empty() ? "" : concat(" of ", expected), "; copy it again");
  }
  bad_input("cannot open ", path, " as HDF5: ", last_failure().text,
            "; it may be damaged: check it with h5ls or copy it again");
}

herr_t collect_entry(hid_t group, const char* name, const H5L_info_t*, void* data) {
  const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
  if (object < 0) return 0;  // a link that leads nowhere
  const H5I_type_t type = H5Iget_type(object);
  H5Oclose(object);
  const Entry::Kind kind = type == H5I_GROUP     ? Entry::Kind::group
                           : type == H5I_DATASET ? Entry::Kind::dataset
                                                 : Entry::Kind::other;
  static_cast<std::vector<Entry>*>(data)->push_back({name, kind});
  return 0;
}

std::vector<Entry> entries_of(hid_t group) {
  std::vector<Entry> entries;
  hsize_t position = 0;
  H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &position, collect_entry, &entries);
  return entries;
}

void collect_datasets(hid_t group, const std::string& prefix, int depth, size_t limit,
                      std::vector<std::string>& found) {
  for (const Entry& entry : entries_of(group)) {
    if (found.size() >= limit) return;
    const std::string path = prefix + "/" + entry.name;
    if (entry.kind == Entry::Kind::dataset) found.push_back(path);
    if (entry.kind == Entry::Kind::group && depth < 32) {  // hard links may form a circle
      const Handle below = own<H5Gclose>(H5Gopen2(group, entry.name.c_str(), H5P_DEFAULT));
      if (below) collect_datasets(below.id(), path, depth + 1, limit, found);
    }
  }
}

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* data) {
  static_cast<std::vector<std::string>*>(data)->emplace_back(name);
  return 0;
}

}  // namespace

Lock::Lock() : guard_(library_mutex()) {
  static const bool quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  // A thread-safe library keeps the setting per thread.
  thread_local const bool quiet_here = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(quiet);
  static_cast<void>(quiet_here);
}

Failure last_failure() {
  Failure failure;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* data) {
        // Upward begins with the innermost; later ones only add an errno if it has none.
        auto& innermost = *static_cast<Failure*>(data);
        if (n == 0 || innermost.text.empty()) return remember_innermost(n, error, data);
        return herr_t{0};
      },
      &failure);
  return failure;
}

bool Handle::reset() {
  if (id_ < 0) return true;
  const Lock lock;
  // Closing would clear the error stack, which tells why an earlier call failed.
  const bool failed = H5Eget_num(H5E_DEFAULT) > 0;
  const hid_t stack = failed ? H5Eget_current_stack() : -1;
  const bool good = close_(id_) >= 0;
  id_ = -1;
  if (failed && good) H5Eset_current_stack(stack);
  if (failed && !good) H5Eclose_stack(stack);
  return good;
}

Handle file_type(DType dtype, bool big_endian) {
  if (dtype == DType::f16) return half_precision(5, 10, 15, big_endian);
  if (dtype == DType::bf16) return half_precision(8, 7, 127, big_endian);
  return own<H5Tclose>(H5Tcopy(predefined(dtype, big_endian)));
}

Handle memory_type(DType dtype) { return file_type(dtype, host_is_big_endian); }

std::string version() { return concat(H5_VERS_MAJOR, ".", H5_VERS_MINOR, ".", H5_VERS_RELEASE); }

std::optional<Shape> shape_of(std::span<const int64_t> sizes) {
  constexpr int64_t most_values = int64_t{1} << 59;
  if (sizes.size() > Shape::max_rank) return std::nullopt;
  int64_t product = 1;  // of the axes that are not empty: what a part of the shape may hold
  for (const int64_t size : sizes) {
    if (size < 0 || size > most_values / product) return std::nullopt;
    product *= std::max<int64_t>(1, size);
  }
  return Shape(sizes);
}

// ---- attributes

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

namespace {

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

// ---- datasets

Dataset::Dataset(Handle handle, std::string file, std::string path)
    : Node(std::move(handle), std::move(file), std::move(path)) {
  const Handle space = own<H5Sclose>(H5Dget_space(id()));
  if (H5Sget_simple_extent_ndims(space.id()) > Shape::max_rank) {
    bad_input(path_, " in ", file_, " has more than ", Shape::max_rank, " axes");
  }
  const std::optional<Shape> shape = shape_of_space(space.id());
  if (!shape) bad_input(path_, " in ", file_, " has no shape: the file is damaged, copy it again");
  shape_ = *shape;
}

// HDF5 lays nothing denser than deflate's 1 : 1032; of filters that are not its own a guess.
void Dataset::check_size() const {
  constexpr uint64_t by_deflate = 1032, by_others = uint64_t{1} << 20;
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  const H5D_layout_t layout = H5Pget_layout(plist.id());
  if (layout == H5D_VIRTUAL || H5Pget_external_count(plist.id()) > 0) return;  // in other files
  uint64_t most = 1;
  if (layout == H5D_CHUNKED) {
    most = by_deflate;  // also without: chunks may be absent
    for (const Filter& filter : filters())
      most = filter.id > H5Z_FILTER_FLETCHER32 ? by_others : most;
  }
  const Handle type = own<H5Tclose>(H5Dget_type(id()));
  const auto size = static_cast<int64_t>(std::max<size_t>(1, H5Tget_size(type.id())));
  const uint64_t file = file_bytes(id());
  if (static_cast<uint64_t>(shape_.count()) / most > file / static_cast<uint64_t>(size)) {
    bad_input(path_, " in ", file_, " has the shape ", shape_, ", which a file of ", file,
              " bytes cannot hold: it is damaged, copy it again");
  }
}

std::string Dataset::only_text() const {
  if (shape_.count() != 1) {
    bad_input(path_, " in ", file_, " has the shape ", shape_, " instead of one text");
  }
  return texts()[0];
}

Element Dataset::element() const {
  const Lock lock;
  const Handle type = own<H5Tclose>(H5Dget_type(id()));
  const std::optional<Element> element = element_of(type.id());
  if (!element) {
    bad_input(path_, " in ", file_, " holds ", class_text(type.id()),
              ", which is not supported: integers of up to 64 bits and floats of 16, 32 or 64 bits "
              "are");
  }
  return *element;
}

std::string Dataset::type_text() const {
  const Lock lock;
  const Handle type = own<H5Tclose>(H5Dget_type(id()));
  const std::optional<Element> element = element_of(type.id());
  return element && element->direct ? std::string(name_of(element->dtype)) : class_text(type.id());
}

bool Dataset::is_text() const {
  const Lock lock;
  const Handle type = own<H5Tclose>(H5Dget_type(id()));
  return H5Tget_class(type.id()) == H5T_STRING;
}

void Dataset::read(void* to, DType as) const { read_rows(0, rows(), to, as); }

void Dataset::read_rows(int64_t first, int64_t count, void* to, DType as) const {
  const Lock lock;
  const Handle from_space = select_rows(id(), shape_, first, count);
  const Handle to_space = new_space(with_rows(shape_, count));
  if (H5Dread(id(), memory_type(as).id(), to_space.id(), from_space.id(), H5P_DEFAULT, to) >= 0) {
    return;
  }
  const std::string why = last_failure().text;
  check_filters();
  bad_input("cannot read rows ", first, " to ", first + count - 1, " of ", path_, " in ", file_,
            ": ", why, "; the file may be damaged: copy it again");
}

HostTensor Dataset::read() const {
  check_size();
  HostTensor values(dtype(), shape_);
  if (shape_.count() > 0) read(values.data(), values.dtype());
  return values;
}

std::vector<std::string> Dataset::read_texts(int64_t first, int64_t count) const {
  const Lock lock;
  const Handle type = own<H5Tclose>(H5Dget_type(id()));
  if (H5Tget_class(type.id()) != H5T_STRING) bad_input(path_, " in ", file_, " holds no texts");
  check_size();
  const Handle from_space = select_rows(id(), shape_, first, count);
  const Handle to_space = new_space(with_rows(shape_, count));
  const auto points = static_cast<size_t>(with_rows(shape_, count).count());
  std::vector<std::string> texts =
      collect_texts(type.id(), to_space.id(), points, [&](hid_t memory, void* to) {
        return H5Dread(id(), memory, to_space.id(), from_space.id(), H5P_DEFAULT, to) >= 0;
      });
  if (texts.size() != points) bad_input("cannot read the texts of ", path_, " in ", file_);
  return texts;
}

void Dataset::write(const void* from, DType as) { write_rows(0, rows(), from, as); }

void Dataset::write_rows(int64_t first, int64_t count, const void* from, DType as) {
  const Lock lock;
  const Handle to_space = select_rows(id(), shape_, first, count);
  const Handle from_space = new_space(with_rows(shape_, count));
  check_write(
      H5Dwrite(id(), memory_type(as).id(), from_space.id(), to_space.id(), H5P_DEFAULT, from),
      file_, path_);
}

void Dataset::grow(int64_t rows) {
  const Lock lock;
  shape_.set(0, rows);
  check_write(H5Dset_extent(id(), sizes_of(shape_).data()), file_, path_);
}

void Dataset::copy_rows(const Dataset& from, int64_t first, int64_t count, int64_t at) {
  if (count == 0) return;
  from.check_size();
  const Lock lock;
  const Handle type = own<H5Tclose>(H5Dget_type(from.id()));
  const Handle memory = own<H5Tclose>(H5Tget_native_type(type.id(), H5T_DIR_ASCEND));
  const Handle from_space = select_rows(from.id(), from.shape_, first, count);
  const Handle to_space = select_rows(id(), shape_, at, count);
  const Handle space = new_space(with_rows(from.shape_, count));
  const auto points = static_cast<size_t>(with_rows(from.shape_, count).count());
  std::vector<std::byte> values(points * H5Tget_size(memory.id()));
  if (H5Dread(from.id(), memory.id(), space.id(), from_space.id(), H5P_DEFAULT, values.data()) <
      0) {
    cannot_copy(from, last_failure().text);
  }
  const herr_t written =
      H5Dwrite(id(), memory.id(), space.id(), to_space.id(), H5P_DEFAULT, values.data());
  const Failure failure = written < 0 ? last_failure() : Failure{};
  if (H5Tdetect_class(memory.id(), H5T_VLEN) > 0 || H5Tis_variable_str(memory.id()) > 0) {
    H5Dvlen_reclaim(memory.id(), space.id(), H5P_DEFAULT, values.data());
  }
  if (written < 0 && failure.error_number == 0) cannot_copy(from, failure.text);
  check_write(written, file_, path_);
}

Shape Dataset::chunk() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  if (H5Pget_layout(plist.id()) != H5D_CHUNKED) return {};
  std::vector<hsize_t> dims(static_cast<size_t>(shape_.rank()));
  const bool fits = H5Pget_chunk(plist.id(), shape_.rank(), dims.data()) == shape_.rank() &&
                    std::count(dims.begin(), dims.end(), 0) == 0;
  const std::optional<Shape> chunk = shape_of_dims(dims);
  if (!fits || !chunk) {
    bad_input(path_, " in ", file_,
              " has chunks that do not go with its shape: the file is damaged, copy it again");
  }
  return *chunk;
}

bool Dataset::contiguous() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  return H5Pget_layout(plist.id()) == H5D_CONTIGUOUS && H5Pget_external_count(plist.id()) == 0;
}

std::vector<Filter> Dataset::filters() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  std::vector<Filter> filters;
  for (int i = 0; i < H5Pget_nfilters(plist.id()); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    char name[256] = "";
    unsigned info = 0;
    const H5Z_filter_t filter = H5Pget_filter2(plist.id(), static_cast<unsigned>(i), &flags,
                                               &values, nullptr, sizeof(name), name, &info);
    const bool available = H5Zfilter_avail(filter) > 0;
    filters.push_back({filter, name[0] != '\0' ? name : concat("number ", filter), available});
  }
  return filters;
}

void Dataset::check_filters() const {
  for (const Filter& filter : filters()) {
    if (!filter.available) {
      bad_input(
          path_, " in ", file_, " is compressed with the filter ", filter.name, " (number ",
          filter.id,
          "), which this HDF5 library does not have: set HDF5_PLUGIN_PATH to the "
          "folder of its plugin, or rewrite the file where it can be read: h5repack -f GZIP=4");
    }
  }
}

uint64_t Dataset::stored_bytes() const {
  const Lock lock;
  return H5Dget_storage_size(id());
}

std::optional<uint64_t> Dataset::offset() const {
  const Lock lock;
  const haddr_t address = H5Dget_offset(id());
  if (address == HADDR_UNDEF) return std::nullopt;
  return address;
}

std::optional<ChunkPlace> chunk_place(const Dataset& dataset, int64_t row, const Shape& origin) {
  const Lock lock;
  std::vector<hsize_t> corner = sizes_of(origin);
  corner[0] += static_cast<hsize_t>(row);
  unsigned mask = 0;
  haddr_t address = HADDR_UNDEF;
  hsize_t bytes = 0;
  // By coordinates: looking a chunk up by its number walks over all chunks before it in 1.10.
  if (H5Dget_chunk_info_by_coord(dataset.id(), corner.data(), &mask, &address, &bytes) < 0) {
    return std::nullopt;
  }
  if (address == HADDR_UNDEF || bytes == 0 || mask != 0) return std::nullopt;
  return ChunkPlace{address, bytes};
}

// ---- groups

std::string Group::absolute(const std::string& path) const {
  if (!path.empty() && path[0] == '/') return path;
  return path_ == "/" ? "/" + path : path_ + "/" + path;
}

std::vector<Entry> Group::entries() const {
  const Lock lock;
  return entries_of(id());
}

std::vector<std::string> Group::datasets(size_t limit) const {
  const Lock lock;
  std::vector<std::string> found;
  collect_datasets(id(), path_ == "/" ? "" : path_, 0, limit, found);
  return found;
}

bool Group::has(const std::string& path) const {
  const Lock lock;
  const Handle object = own<H5Oclose>(H5Oopen(id(), absolute(path).c_str(), H5P_DEFAULT));
  return static_cast<bool>(object);
}

Group Group::group(const std::string& path) const {
  const Lock lock;
  const std::string full = absolute(path);
  Handle group = own<H5Gclose>(H5Gopen2(id(), full.c_str(), H5P_DEFAULT));
  if (!group) {
    bad_input("there is no group ", full, " in ", file_, "; it holds ", contents_text(*this));
  }
  return Group(std::move(group), file_, full);
}

Dataset Group::dataset(const std::string& path, int64_t chunk_cache) const {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle access = own<H5Pclose>(H5Pcreate(H5P_DATASET_ACCESS));
  if (chunk_cache > 0) {
    constexpr size_t slots = 12421;  // a prime; about 100 times the chunks that are usually held
    H5Pset_chunk_cache(access.id(), slots, static_cast<size_t>(chunk_cache),
                       H5D_CHUNK_CACHE_W0_DEFAULT);
  }
  Handle dataset = own<H5Dclose>(H5Dopen2(id(), full.c_str(), access.id()));
  if (!dataset) {
    const std::string near = nearest(full, datasets());
    bad_input("there is no dataset ", full, " in ", file_,
              near.empty() ? "" : concat("; did you mean ", near, "?"), "; the file holds ",
              contents_text(*this));
  }
  return Dataset(std::move(dataset), file_, full);
}

namespace {

Handle link_properties() {
  Handle plist = own<H5Pclose>(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(plist.id(), 1);
  return plist;
}

Handle creation_properties(const Storage& storage) {
  Handle plist = own<H5Pclose>(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(plist.id(), false);  // equal contents give equal files
  if (storage.chunk.rank() > 0) {
    H5Pset_chunk(plist.id(), storage.chunk.rank(), sizes_of(storage.chunk).data());
    if (storage.shuffle) H5Pset_shuffle(plist.id());
    if (storage.deflate > 0) H5Pset_deflate(plist.id(), static_cast<unsigned>(storage.deflate));
    if (storage.fletcher32) H5Pset_fletcher32(plist.id());
  } else if (storage.allocate_early) {
    H5Pset_layout(plist.id(), H5D_CONTIGUOUS);
    H5Pset_alloc_time(plist.id(), H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(plist.id(), H5D_FILL_TIME_NEVER);
  }
  return plist;
}

}  // namespace

Group Group::create_group(const std::string& path) {
  const Lock lock;
  const std::string full = absolute(path);
  Handle group = own<H5Gclose>(
      H5Gcreate2(id(), full.c_str(), link_properties().id(), H5P_DEFAULT, H5P_DEFAULT));
  if (!group) cannot_write(file_, full);
  return Group(std::move(group), file_, full);
}

Dataset Group::create_dataset(const std::string& path, DType dtype, const Shape& shape,
                              const Storage& storage) {
  const Lock lock;
  const std::string full = absolute(path);
  LACUNA_CHECK(!storage.growing || storage.chunk.rank() > 0, full, ": growing needs chunks");
  const Handle plist = creation_properties(storage);
  const Handle space = new_space(shape, storage.growing);
  Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), file_type(dtype).id(), space.id(),
                                            link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_write(file_, full);
  return Dataset(std::move(dataset), file_, full);
}

Dataset Group::create_like(const std::string& path, const Dataset& model, int64_t rows) {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle type = own<H5Tclose>(H5Dget_type(model.id()));
  const Handle plist = creation_properties({});
  const Handle space = new_space(with_rows(model.shape(), rows));
  Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), type.id(), space.id(),
                                            link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_copy(model, last_failure().text);
  return Dataset(std::move(dataset), file_, full);
}

void Group::create_texts(const std::string& path, std::span<const std::string> texts) {
  const Lock lock;
  const std::string full = absolute(path);
  const Handle type = text_type();
  const Handle plist = creation_properties({});
  const Handle space = new_space({static_cast<int64_t>(texts.size())});
  const Handle dataset = own<H5Dclose>(H5Dcreate2(id(), full.c_str(), type.id(), space.id(),
                                                  link_properties().id(), plist.id(), H5P_DEFAULT));
  if (!dataset) cannot_write(file_, full);
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  if (pointers.empty()) return;
  check_write(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()),
              file_, full);
}

void Group::link_external(const std::string& path, const std::string& file,
                          const std::string& target) {
  const Lock lock;
  const std::string full = absolute(path);
  check_write(H5Lcreate_external(file.c_str(), target.c_str(), id(), full.c_str(),
                                 link_properties().id(), H5P_DEFAULT),
              file_, full);
}

// ---- files

File::File(Handle file, Handle root, const std::string& path, bool unlocked)
    : Group(std::move(root), path, "/"), file_handle_(std::move(file)), unlocked_(unlocked) {}

namespace {

struct Opened {
  Handle file, root;
  bool unlocked = false;
};

Opened open_existing(const std::string& path, unsigned flags) {
  Opened opened;
  opened.file = own<H5Fclose>(H5Fopen(path.c_str(), flags, access_properties(true).id()));
  if (!opened.file && flags == H5F_ACC_RDONLY && locking_refused(failure_stack())) {
    opened.file = own<H5Fclose>(H5Fopen(path.c_str(), flags, access_properties(false).id()));
    opened.unlocked = true;
  }
  if (!opened.file) refuse_broken(path);
  opened.root = own<H5Gclose>(H5Gopen2(opened.file.id(), "/", H5P_DEFAULT));
  if (!opened.root) refuse_broken(path);
  return opened;
}

}  // namespace

File File::open(const std::string& path) {
  refuse_unless_readable(path);
  const Lock lock;
  Opened opened = open_existing(path, H5F_ACC_RDONLY);
  return File(std::move(opened.file), std::move(opened.root), path, opened.unlocked);
}

File File::open_writable(const std::string& path) {
  refuse_unless_readable(path);
  const Lock lock;
  Opened opened = open_existing(path, H5F_ACC_RDWR);
  return File(std::move(opened.file), std::move(opened.root), path, opened.unlocked);
}

File File::create(const std::string& path) {
  const Lock lock;
  Handle file = own<H5Fclose>(
      H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_properties(true).id()));
  if (!file && locking_refused(failure_stack())) {
    file = own<H5Fclose>(
        H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_properties(false).id()));
  }
  if (!file) cannot_write(path, "a new file");
  Handle root = own<H5Gclose>(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  return File(std::move(file), std::move(root), path, false);
}

uint64_t File::user_block() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Fget_create_plist(file_handle_.id()));
  hsize_t size = 0;
  H5Pget_userblock(plist.id(), &size);
  return size;
}

bool File::plain_driver() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Fget_access_plist(file_handle_.id()));
  return H5Pget_driver(plist.id()) == H5FD_SEC2;
}

void File::flush() {
  const Lock lock;
  check_write(H5Fflush(file_handle_.id(), H5F_SCOPE_LOCAL), file_, "data");
}

void File::close() {
  const Lock lock;
  handle_.reset();
  if (!file_handle_.reset()) cannot_write(file_, "the end of the file");
}

std::string contents_text(const Group& group, size_t limit) {
  const std::vector<std::string> paths = group.datasets(limit + 1);
  std::string all;
  for (size_t i = 0; i < paths.size() && i < limit; ++i) {
    const Dataset dataset = group.dataset(paths[i]);
    all += concat(i > 0 ? ", " : "", paths[i], " ", dataset.shape(), " ", dataset.type_text());
  }
  if (paths.empty()) return "no dataset";
  return paths.size() > limit ? all + ", and more" : all;
}

}  // namespace lacuna::hdf5
