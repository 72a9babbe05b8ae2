#include "io/hdf5_image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

// What the core driver's memory goes through; HDF5 hands the whole of it over on closing.
struct NewImage::Buffer {
  void* data = nullptr;
  size_t bytes = 0;
  bool complete = false;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data); }

  static void* allocate(size_t bytes, H5FD_file_image_op_t, void*) { return std::malloc(bytes); }
  static void* copy(void* to, const void* from, size_t bytes, H5FD_file_image_op_t, void*) {
    return std::memcpy(to, from, bytes);
  }
  // HDF5 leaves holes in what it asks for: zeros, so that equal contents give equal files.
  static void* reallocate(void* old, size_t bytes, H5FD_file_image_op_t, void* self) {
    auto& buffer = *static_cast<Buffer*>(self);
    void* data = std::realloc(old, bytes);
    if (data == nullptr) return nullptr;
    if (bytes > buffer.bytes)
      std::memset(static_cast<char*>(data) + buffer.bytes, 0, bytes - buffer.bytes);
    buffer.bytes = bytes;
    return data;
  }
  static herr_t release(void* data, H5FD_file_image_op_t operation, void* self) {
    auto& buffer = *static_cast<Buffer*>(self);
    if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
      buffer.data = data;
      buffer.complete = true;
    } else {
      std::free(data);
    }
    return 0;
  }
  static void* same(void* self) { return self; }
  static herr_t keep(void*) { return 0; }
};

namespace {

constexpr size_t increment = size_t{64} << 10;
// Larger values begin at a page, for those who map them (not behind a user block, which would have
// to be a multiple of it).
constexpr hsize_t aligned_from = 64 << 10, alignment = 4096;

// HDF5 reads an old file of the name into memory before it makes a new one, and refuses to open an
// image under the name of a file that exists.
std::string free_name(const std::string& name) { return name + " in memory"; }

[[noreturn]] void broken(const std::string& name) {
  throw Error(ExitStatus::failed,
              concat("HDF5 could not lay out ", name, ": ", last_failure().text));
}

}  // namespace

NewImage::NewImage(std::unique_ptr<Buffer> buffer, Handle file, Handle root,
                   const std::string& name)
    : Group(std::move(root), name, "/"),
      buffer_(std::move(buffer)),
      file_handle_(std::move(file)) {}

NewImage::~NewImage() {
  handle_.reset();  // before the file, and both before the buffer
  file_handle_.reset();
}

NewImage NewImage::create(const std::string& name, size_t metadata_bytes, size_t user_block) {
  const Lock lock;
  auto buffer = std::make_unique<Buffer>();
  const Handle access = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
  const Handle creation = own<H5Pclose>(H5Pcreate(H5P_FILE_CREATE));
  H5FD_file_image_callbacks_t callbacks{&Buffer::allocate, &Buffer::copy, &Buffer::reallocate,
                                        &Buffer::release,  &Buffer::same, &Buffer::keep,
                                        buffer.get()};
  if (H5Pset_fapl_core(access.id(), increment, false) < 0 ||
      H5Pset_file_image_callbacks(access.id(), &callbacks) < 0 ||
      (user_block == 0 && H5Pset_alignment(access.id(), aligned_from, alignment) < 0) ||
      H5Pset_meta_block_size(access.id(), metadata_bytes) < 0 ||
      H5Pset_userblock(creation.id(), user_block) < 0)
    broken(name);
  Handle file =
      own<H5Fclose>(H5Fcreate(free_name(name).c_str(), H5F_ACC_TRUNC, creation.id(), access.id()));
  if (!file) broken(name);
  Handle root = own<H5Gclose>(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  if (!root) broken(name);
  return NewImage(std::move(buffer), std::move(file), std::move(root), name);
}

NewImage::Content NewImage::close() {
  const Lock lock;
  hsize_t file_bytes = 0;
  if (H5Fget_filesize(file_handle_.id(), &file_bytes) < 0) broken(file());
  handle_.reset();
  if (!file_handle_.reset()) broken(file());
  LACUNA_CHECK(buffer_->complete, "an object of ", file(), " is still open");
  Content content;
  content.file_bytes = file_bytes;
  const auto* first = static_cast<const std::byte*>(buffer_->data);
  content.bytes.assign(first, first + std::min<uint64_t>(buffer_->bytes, file_bytes));
  return content;
}

ImageReader::ImageReader(Handle file, Handle root, const std::string& name)
    : Group(std::move(root), name, "/"), file_handle_(std::move(file)) {}

ImageReader::~ImageReader() {
  handle_.reset();
  file_handle_.reset();
}

ImageReader ImageReader::open(const std::string& name, std::span<const std::byte> image) {
  const Lock lock;
  const Handle access = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
  // HDF5 takes a pointer to bytes that it only copies.
  void* bytes = const_cast<std::byte*>(image.data());
  if (H5Pset_fapl_core(access.id(), increment, false) < 0 ||
      H5Pset_file_image(access.id(), bytes, image.size()) < 0)
    broken(name);
  Handle file = own<H5Fclose>(H5Fopen(free_name(name).c_str(), H5F_ACC_RDONLY, access.id()));
  if (!file) bad_input("cannot open ", name, " as HDF5: ", last_failure().text);
  Handle root = own<H5Gclose>(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  if (!root) bad_input("cannot open ", name, " as HDF5: ", last_failure().text);
  return ImageReader(std::move(file), std::move(root), name);
}

}  // namespace lacuna::hdf5
