// HDF5 with owned handles and with errors as sentences: what the rest of Lacuna uses to read data
// sets and to read and write checkpoints, representations and metrics.
//
// The library is not safe against concurrent calls (Debian's serial build may or may not be), so
// every function here holds one lock for the whole process; calls from any thread are allowed, and
// a long read delays the others. Code that needs a call of the library which is missing here adds a
// function here, or includes io/hdf5_private.h in a .cpp file and takes hdf5::Lock.
//
// Errors: bad_input for what cannot be read (file, path and remedy in the sentence), no_space for
// what cannot be written. HDF5's own error printing is off.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/host_tensor.h"
#include "base/shape.h"

namespace lacuna::hdf5 {

// Owns one identifier of the library (hid_t); move-only.
class Handle {
 public:
  using Close = int (*)(int64_t);
  Handle() = default;
  Handle(int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept { swap(other); }
  Handle& operator=(Handle&& other) noexcept {
    Handle(std::move(other)).swap(*this);
    return *this;
  }
  ~Handle() { reset(); }
  int64_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  // Closes now; false when the library could not (for a file: it could not be written).
  bool reset();

 private:
  void swap(Handle& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
  }
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// What the elements of a dataset are. `dtype` holds every value exactly; `direct` says that the
// bytes in the file are that dtype, in the byte order told, so that they may be read without HDF5.
struct Element {
  DType dtype = DType::f32;
  bool big_endian = false;
  bool direct = true;
  enum class Kind { number, boolean, enumeration } kind = Kind::number;
  double low = 0, high = 0;  // the least and the greatest member of an enumeration
};

// Sizes of axes that a file tells as a shape; none when no array can have them: too many axes, a
// negative size, or more values than can be counted in bytes.
std::optional<Shape> shape_of(std::span<const int64_t> sizes);

// How a new dataset is stored. Contiguous unless `chunk` has axes.
struct Storage {
  Shape chunk = {};
  int deflate = 0;  // gzip level 1 to 9; 0: none
  bool shuffle = false;
  bool fletcher32 = false;
  bool growing = false;         // the first axis may grow(); needs chunk
  bool allocate_early = false;  // contiguous: space is given at creation and never filled, so that
                                // offset() is known and others may write there
};

struct Filter {
  int id = 0;
  std::string name;
  bool available = true;  // whether this process can apply it
};

// What carries attributes: a file's root, a group, a dataset.
class Node {
 public:
  const std::string& file() const { return file_; }  // path of the file
  const std::string& path() const { return path_; }  // path inside the file
  int64_t id() const { return handle_.id(); }

  std::vector<std::string> attributes() const;
  bool has_attribute(const std::string& name) const;
  // Of its values; none where there is no such attribute.
  std::optional<Shape> attribute_shape(const std::string& name) const;
  // "text", "float32", "float64", "integer" or "other"; "" where there is no such attribute.
  std::string attribute_type(const std::string& name) const;
  // Setting replaces. A text is stored as UTF-8 of variable length.
  void set(const std::string& name, const std::string& text);
  void set(const std::string& name, const char* text) { set(name, std::string(text)); }
  void set(const std::string& name, int64_t value);
  void set(const std::string& name, int value) { set(name, int64_t{value}); }
  void set(const std::string& name, double value);
  void set(const std::string& name, std::span<const double> values);
  void set(const std::string& name, std::span<const int64_t> values);
  void set(const std::string& name, std::span<const std::string> texts);
  // Getting: an attribute that is absent or of another kind is bad_input.
  std::string text(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  std::vector<double> numbers(const std::string& name) const;
  std::vector<int64_t> integers(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;

 protected:
  Node() = default;
  Node(Handle handle, std::string file, std::string path)
      : handle_(std::move(handle)), file_(std::move(file)), path_(std::move(path)) {}
  Handle handle_;
  std::string file_, path_;
};

// Also a column of a table: the member of a compound type, by the path "table/column".
class Dataset : public Node {
 public:
  Dataset() = default;

  const Shape& shape() const { return shape_; }
  int64_t rows() const { return shape_.rank() == 0 ? 1 : shape_[0]; }
  // bad_input, with what it is and what is supported, for elements that are no supported numbers.
  Element element() const;
  DType dtype() const { return element().dtype; }
  // What the real and the imaginary part are of complex numbers, which element() does not support;
  // none where the elements are no such numbers.
  std::optional<Element> complex() const;
  // "float32", or the type in words when it is none of ours ("text", "compound", ...).
  std::string type_text() const;
  bool is_text() const;
  // The names of an enumeration's values; none where the elements are no enumeration.
  std::optional<std::map<int64_t, std::string>> enumeration() const;

  // Values, converted to `as`. Rows are indices of the first axis. bad_input when the values cannot
  // be read (missing filter plugin, damaged chunk).
  void read(void* to, DType as) const;
  void read_rows(int64_t first, int64_t count, void* to, DType as) const;
  // The same along any axis, of which `to` has `count`. `parts`: 2 for complex numbers, each two
  // of `as`.
  void read_along(int axis, int64_t first, int64_t count, void* to, DType as, int parts) const;
  HostTensor read() const;  // in dtype()
  template <typename T>
  std::vector<T> values() const {
    check_size();
    std::vector<T> all(static_cast<size_t>(shape_.count()));
    if (!all.empty()) read(all.data(), dtype_of<T>);
    return all;
  }
  std::vector<std::string> read_texts(int64_t first, int64_t count) const;
  std::vector<std::string> texts() const { return read_texts(0, rows()); }
  using Node::texts;
  // bad_input when there is not one text.
  std::string only_text() const;
  // bad_input when its shape holds more values than its file can: of a damaged one somebody would
  // ask for any amount of memory. To be called before memory is taken for all of it; the functions
  // above that return values do.
  void check_size() const;

  // no_space when the values cannot be written.
  void write(const void* from, DType as);
  void write_rows(int64_t first, int64_t count, const void* from, DType as);
  // Makes the first axis `rows` long.
  void grow(int64_t rows);
  // Copies values of any type, texts included, to the rows from `at` on: those numbered `rows` of
  // `from`, whose rows hold as many values as these and may be counted along several axes.
  void copy_rows(const Dataset& from, std::span<const int64_t> rows, int64_t at);

  // Axes of a chunk; no axes when it is not chunked.
  Shape chunk() const;
  bool contiguous() const;  // contiguous and not in external files
  std::vector<Filter> filters() const;
  // bad_input when a filter is missing: which, and how to get it or do without.
  void check_filters() const;
  // Of virtual data, the files that parts of it are in, each once, as they are named; none of other
  // data, nor of parts in the file itself.
  std::vector<std::string> virtual_files() const;
  // Of chunked data, how many chunks were never written; 0 of other data.
  int64_t unwritten_chunks() const;
  // What stands for elements that were never written, where the file says so.
  std::optional<double> fill_value() const;
  // Bytes of storage in use; 0 for virtual data.
  uint64_t stored_bytes() const;
  // Where contiguous values begin, as the library tells it; none when not (yet) allocated.
  // Correct for files that this program wrote (no user block).
  std::optional<uint64_t> offset() const;

 private:
  friend class Group;
  // A column of a table, where a name is given: what a compound type calls a member.
  Dataset(Handle handle, std::string file, std::string path, std::string column = {});
  Handle element_type() const;
  Handle in_memory(Handle element) const;
  Shape stored_shape() const { return shape_.slice(0, shape_.rank() - column_axes_.rank()); }

  Shape shape_;
  std::string column_;
  Shape column_axes_;  // of one entry of a column, which shape_ ends with
};

struct Entry {
  enum class Kind { group, dataset, other };
  std::string name;
  Kind kind = Kind::other;
};

class Group : public Node {
 public:
  Group() = default;

  // Members by name, sorted; links that lead nowhere are left out.
  std::vector<Entry> entries() const;
  // Paths of all datasets at and below this group, sorted ("/a/b"); at most `limit`.
  std::vector<std::string> datasets(size_t limit = 100000) const;
  bool has(const std::string& path) const;
  // bad_input names what is there when the path is not. A path may go on behind a dataset of a
  // compound type, with the name of one of its members.
  Group group(const std::string& path) const;
  // chunk_cache: bytes of decoded chunks that the library keeps for this dataset; 0: its default.
  Dataset dataset(const std::string& path, int64_t chunk_cache = 0) const;

  // Creating makes the groups on the way. Something that is there already is a defect of the
  // caller.
  Group create_group(const std::string& path);
  Dataset create_dataset(const std::string& path, DType dtype, const Shape& shape,
                         const Storage& storage = {});
  // A dataset of values of the type that those of `model` have, whatever that is.
  Dataset create_like(const std::string& path, const Dataset& model, const Shape& shape);
  // A dataset [texts.size()] of UTF-8 texts of variable length.
  void create_texts(const std::string& path, std::span<const std::string> texts);
  // `path` leads to `target` in another file; `file` is relative to this file's folder.
  void link_external(const std::string& path, const std::string& file, const std::string& target);

 protected:
  Group(Handle handle, std::string file, std::string path)
      : Node(std::move(handle), std::move(file), std::move(path)) {}
  std::string absolute(const std::string& path) const;

 private:
  std::optional<Dataset> column_of_table(const std::string& full) const;
};

class File : public Group {
 public:
  File() = default;
  // For reading. Tells apart: missing, unreadable, a folder, not HDF5, truncated. Where locking is
  // refused (Lustre, GPFS, or another program holds the lock) it opens without; see unlocked().
  static File open(const std::string& path);
  // For reading and writing what exists.
  static File open_writable(const std::string& path);
  // A new file; an existing one is replaced. no_space when it cannot be created.
  static File create(const std::string& path);

  bool unlocked() const { return unlocked_; }  // locking was refused
  uint64_t user_block() const;                 // bytes before the HDF5 part
  bool plain_driver() const;                   // one ordinary POSIX file (driver sec2)
  void flush();
  // Closes and reports what the destructor would have to swallow: no_space.
  void close();

 private:
  File(Handle file, Handle root, const std::string& path, bool unlocked);
  Handle file_handle_;
  bool unlocked_ = false;
};

// The library's version, "1.10.8".
std::string version();

// "/images [60000, 28, 28] uint8, /label [60000] uint8": what a file holds, for messages.
std::string contents_text(const Group& group, size_t limit = 12);

}  // namespace lacuna::hdf5
