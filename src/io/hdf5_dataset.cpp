#include "io/hdf5.h"

#include <algorithm>
#include <cstddef>
#include <set>

#include "base/text.h"
#include "io/hdf5_private.h"
#include "io/hdf5_spaces.h"
#include "io/hdf5_tables.h"
#include "io/hdf5_texts.h"

namespace lacuna::hdf5 {

namespace {

std::string class_text(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return "text";
    case H5T_COMPOUND:
      return "table of " + join(member_names(type));
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

std::optional<Element> element_of(hid_t type);

// The number of a member of an enumeration.
double member_of(hid_t type, unsigned number, hid_t base) {
  int64_t value[4] = {};  // as large as any integer
  H5Tget_member_value(type, number, value);
  H5Tconvert(base, H5T_NATIVE_INT64, 1, value, nullptr, H5P_DEFAULT);
  return static_cast<double>(value[0]);
}

std::string member_name(hid_t type, unsigned number) {
  char* text = H5Tget_member_name(type, number);
  const std::string name = text == nullptr ? "" : text;
  H5free_memory(text);
  return name;
}

// h5py stores bool as an enumeration of FALSE and TRUE.
std::optional<Element> element_of_enumeration(hid_t type) {
  const Handle base = own<H5Tclose>(H5Tget_super(type));
  std::optional<Element> element = element_of(base.id());
  const int members = H5Tget_nmembers(type);
  if (!element || members < 1) return element;
  element->kind = Element::Kind::enumeration;
  for (int i = 0; i < members; ++i) {
    const double value = member_of(type, static_cast<unsigned>(i), base.id());
    element->low = i == 0 ? value : std::min(element->low, value);
    element->high = i == 0 ? value : std::max(element->high, value);
  }
  if (H5Tget_size(type) == 1 && element->low >= 0) {
    element->dtype = DType::u8;
    element->direct = true;
  }
  if (members == 2 && element->low == 0 && element->high == 1 && member_name(type, 0) == "FALSE" &&
      member_name(type, 1) == "TRUE")
    element->kind = Element::Kind::boolean;
  return element;
}

bool is_bit_field(hid_t type) {  // PyTables stores bool so
  return H5Tget_class(type) == H5T_BITFIELD && H5Tget_size(type) == 1;
}

// The element for a stored type, or none when it is not supported.
std::optional<Element> element_of(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_ENUM) return element_of_enumeration(type);
  if (is_bit_field(type)) return Element{DType::u8, false, true, Element::Kind::boolean, 0, 1};
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

// Of a compound of two floats of one type: real and imaginary part, as h5py and others name them.
std::optional<Element> complex_of(hid_t type) {
  if (H5Tget_class(type) != H5T_COMPOUND || H5Tget_nmembers(type) != 2) return std::nullopt;
  const std::string real = member_name(type, 0), imaginary = member_name(type, 1);
  const bool named = (real == "r" && imaginary == "i") || (real == "re" && imaginary == "im") ||
                     (real == "real" && imaginary == "imag");
  const Handle first = own<H5Tclose>(H5Tget_member_type(type, 0));
  const Handle second = own<H5Tclose>(H5Tget_member_type(type, 1));
  if (!named || !equal(first.id(), second) || H5Tget_class(first.id()) != H5T_FLOAT)
    return std::nullopt;
  std::optional<Element> element = element_of(first.id());
  if (element) element->direct = false;
  return element;
}

// What elements are read as: `parts` of `as`.
Handle reading_type(hid_t type, DType as, int parts) {
  if (is_bit_field(type)) return own<H5Tclose>(H5Tcopy(H5T_NATIVE_B8));
  if (parts == 1) return memory_type(as);
  const Handle part = memory_type(as);
  const size_t size = size_of(as);
  Handle both = own<H5Tclose>(H5Tcreate(H5T_COMPOUND, 2 * size));
  H5Tinsert(both.id(), member_name(type, 0).c_str(), 0, part.id());
  H5Tinsert(both.id(), member_name(type, 1).c_str(), size, part.id());
  return both;
}

// `count` bytes at the beginning of `values` become elements of `as`.
void widen(void* values, size_t count, DType as) {
  const auto* bytes = static_cast<const uint8_t*>(values);
  for (size_t i = count; i-- > 0;) {
    const uint8_t byte = bytes[i];
    if (as == DType::i64) static_cast<int64_t*>(values)[i] = byte;
    if (as == DType::f64) static_cast<double*>(values)[i] = byte;
    if (as == DType::f32) static_cast<float*>(values)[i] = byte;
  }
}

}  // namespace

Dataset::Dataset(Handle handle, std::string file, std::string path, std::string column)
    : Node(std::move(handle), std::move(file), std::move(path)), column_(std::move(column)) {
  const Handle space = own<H5Sclose>(H5Dget_space(id()));
  std::optional<Shape> shape = shape_of_space(space.id());
  if (!column_.empty() && shape) {
    column_axes_ = axes_of_column(id(), column_);
    shape = shape->rank() + column_axes_.rank() > Shape::max_rank
                ? std::nullopt
                : shape_of(sizes_with(shape->sizes(), column_axes_.sizes()));
  }
  if (H5Sget_simple_extent_ndims(space.id()) > Shape::max_rank) {
    bad_input(path_, " in ", file_, " has more than ", Shape::max_rank, " axes");
  }
  if (!shape) bad_input(path_, " in ", file_, " has no shape: the file is damaged, copy it again");
  shape_ = *shape;
}

// Of one value: of a column the type of the member, and of its elements where that is an array.
Handle Dataset::element_type() const {
  Handle type = own<H5Tclose>(H5Dget_type(id()));
  return column_.empty() ? std::move(type) : element_of_column(type.id(), column_);
}

// How a call of the library is to have `element` in memory: of a column a compound type with that
// one member, of which the values lie one behind the other.
Handle Dataset::in_memory(Handle element) const {
  if (column_.empty()) return element;
  return with_only_member(column_, element.id(), column_axes_);
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
  const Handle type = own<H5Tclose>(H5Dget_type(id()));  // of a table all of its columns
  const auto size = static_cast<int64_t>(std::max<size_t>(1, H5Tget_size(type.id())));
  const uint64_t file = file_bytes(id());
  if (static_cast<uint64_t>(stored_shape().count()) / most > file / static_cast<uint64_t>(size)) {
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
  const Handle type = element_type();
  std::optional<Element> element = element_of(type.id());
  if (element && !column_.empty()) element->direct = false;
  if (!element && H5Tget_class(type.id()) == H5T_COMPOUND) {
    bad_input(path_, " in ", file_, " is a table: name one of its columns, as in ", path_, "/",
              join(member_names(type.id()), " or "));
  }
  if (!element) {
    bad_input(path_, " in ", file_, " holds ", class_text(type.id()),
              ", which is not supported: integers of up to 64 bits and floats of 16, 32 or 64 bits "
              "are");
  }
  return *element;
}

std::optional<Element> Dataset::complex() const {
  const Lock lock;
  const Handle type = element_type();
  return complex_of(type.id());
}

std::string Dataset::type_text() const {
  const Lock lock;
  const Handle type = element_type();
  if (const std::optional<Element> part = complex_of(type.id()))
    return concat("complex", 16 * size_of(part->dtype));
  const std::optional<Element> element = element_of(type.id());
  if (element && element->kind == Element::Kind::boolean) return "bool";
  if (element && element->kind == Element::Kind::enumeration) return "enumeration";
  return element && element->direct ? std::string(name_of(element->dtype)) : class_text(type.id());
}

bool Dataset::is_text() const {
  const Lock lock;
  const Handle type = element_type();
  return H5Tget_class(type.id()) == H5T_STRING;
}

std::optional<std::map<int64_t, std::string>> Dataset::enumeration() const {
  const Lock lock;
  const Handle type = element_type();
  if (H5Tget_class(type.id()) != H5T_ENUM) return std::nullopt;
  return names_of_values(type.id());
}

void Dataset::read(void* to, DType as) const { read_rows(0, rows(), to, as); }

void Dataset::read_rows(int64_t first, int64_t count, void* to, DType as) const {
  read_along(0, first, count, to, as, 1);
}

void Dataset::read_along(int axis, int64_t first, int64_t count, void* to, DType as,
                         int parts) const {
  const Lock lock;
  const Handle type = element_type();
  const Handle from_space = select_rows(id(), stored_shape(), first, count, axis);
  const Handle to_space = new_space(with_rows(stored_shape(), count, axis));
  const Handle memory = in_memory(reading_type(type.id(), as, parts));
  if (H5Dread(id(), memory.id(), to_space.id(), from_space.id(), H5P_DEFAULT, to) >= 0) {
    const Shape read = with_rows(shape_, count, axis);
    if (is_bit_field(type.id()) && as != DType::u8)
      widen(to, static_cast<size_t>(read.count()), as);
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
  const Handle type = element_type();
  if (H5Tget_class(type.id()) != H5T_STRING) bad_input(path_, " in ", file_, " holds no texts");
  check_size();
  const Handle from_space = select_rows(id(), stored_shape(), first, count);
  const Handle to_space = new_space(with_rows(stored_shape(), count));
  const auto points = static_cast<size_t>(with_rows(shape_, count).count());
  const Handle texts_space = new_space({static_cast<int64_t>(points)});
  std::vector<std::string> texts =
      collect_texts(type.id(), texts_space.id(), points, [&](hid_t memory, void* to) {
        const Handle wanted = in_memory(own<H5Tclose>(H5Tcopy(memory)));
        return H5Dread(id(), wanted.id(), to_space.id(), from_space.id(), H5P_DEFAULT, to) >= 0;
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

void Dataset::copy_rows(const Dataset& from, std::span<const int64_t> rows, int64_t at) {
  if (rows.empty() || from.shape_.count() == 0) return;
  from.check_size();
  const Lock lock;
  const Handle type = from.element_type();
  const Handle element = own<H5Tclose>(H5Tget_native_type(type.id(), H5T_DIR_ASCEND));
  const Handle memory = from.in_memory(own<H5Tclose>(H5Tcopy(element.id())));
  const auto points = static_cast<size_t>(from.shape_.count());
  const size_t row_bytes = static_cast<size_t>(shape_.from(1).count()) * H5Tget_size(element.id());
  std::vector<std::byte> values(points * H5Tget_size(element.id()));
  if (H5Dread(from.id(), memory.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    cannot_copy(from, last_failure().text);
  std::vector<std::byte> chosen(rows.size() * row_bytes);
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t first = static_cast<size_t>(rows[i]) * row_bytes;
    LACUNA_CHECK(first + row_bytes <= values.size(), "row ", rows[i], " of ", from.shape_);
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(first), row_bytes,
                chosen.begin() + static_cast<std::ptrdiff_t>(i * row_bytes));
  }
  const auto count = static_cast<int64_t>(rows.size());
  const Handle to_space = select_rows(id(), shape_, at, count);
  const Handle space = new_space(with_rows(shape_, count));
  const herr_t written =
      H5Dwrite(id(), element.id(), space.id(), to_space.id(), H5P_DEFAULT, chosen.data());
  const Failure failure = written < 0 ? last_failure() : Failure{};
  if (H5Tdetect_class(element.id(), H5T_VLEN) > 0 || H5Tis_variable_str(element.id()) > 0) {
    const Handle all = new_space({static_cast<int64_t>(points)});
    H5Dvlen_reclaim(element.id(), all.id(), H5P_DEFAULT, values.data());
  }
  if (written < 0 && failure.error_number == 0) cannot_copy(from, failure.text);
  check_write(written, file_, path_);
}

Shape Dataset::chunk() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  if (H5Pget_layout(plist.id()) != H5D_CHUNKED) return {};
  const int rank = stored_shape().rank();
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  const bool fits = H5Pget_chunk(plist.id(), rank, dims.data()) == rank &&
                    std::count(dims.begin(), dims.end(), 0) == 0;
  for (const int64_t size : column_axes_.sizes()) dims.push_back(static_cast<hsize_t>(size));
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

std::vector<std::string> Dataset::virtual_files() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  if (H5Pget_layout(plist.id()) != H5D_VIRTUAL) return {};
  size_t parts = 0;
  if (H5Pget_virtual_count(plist.id(), &parts) < 0) return {};
  std::set<std::string> files;
  for (size_t i = 0; i < parts; ++i) {
    std::string name(4096, '\0');
    const ssize_t length = H5Pget_virtual_filename(plist.id(), i, name.data(), name.size());
    name.resize(length > 0 ? std::min(name.size() - 1, static_cast<size_t>(length)) : 0);
    if (!name.empty() && name != ".") files.insert(name);
  }
  return {files.begin(), files.end()};
}

int64_t Dataset::unwritten_chunks() const {
  const Lock lock;
  const Shape size = chunk();
  if (size.rank() == 0) return 0;
  int64_t all = 1;
  for (int axis = 0; axis < size.rank(); ++axis)
    all *= (shape_[axis] + size[axis] - 1) / size[axis];
  constexpr int64_t most = 100'000;  // counting more would take longer than opening the file
  hsize_t written = 0;
  const Handle space = own<H5Sclose>(H5Dget_space(id()));
  if (all > most || H5Dget_num_chunks(id(), space.id(), &written) < 0) return 0;
  return std::max<int64_t>(0, all - static_cast<int64_t>(written));
}

std::optional<double> Dataset::fill_value() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Dget_create_plist(id()));
  H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
  double value = 0;
  if (H5Pfill_value_defined(plist.id(), &defined) < 0 || defined != H5D_FILL_VALUE_USER_DEFINED ||
      H5Pget_fill_value(plist.id(), H5T_NATIVE_DOUBLE, &value) < 0)
    return std::nullopt;
  return value;
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

}  // namespace lacuna::hdf5
