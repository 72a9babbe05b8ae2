// HDF5 files as bytes in memory: the library makes or reads them there and never touches a disk.
//
// Why: HDF5 does not survive a write that fails (a full disk leaves it with files that it can
// neither flush nor close, and it tries again at exit), it cannot flush a file to the disk, and it
// may crash on a damaged one. So our writers let it lay out the file in memory, write the bytes
// themselves, and hand it only bytes for reading whose checksum is right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5.h"

namespace lacuna::hdf5 {

// A new file. Datasets created with allocate_early take no memory: their offset() says where their
// values belong in the file.
class NewImage : public Group {
 public:
  // `name` is for messages. About `metadata_bytes` of space at the front are set aside for groups,
  // attributes and the like, so that they stay together; more goes behind the values, and then the
  // image is as long as what lies before.
  static NewImage create(const std::string& name, size_t metadata_bytes, size_t user_block = 0);
  NewImage(NewImage&&) = default;
  ~NewImage();

  struct Content {
    std::vector<std::byte> bytes;  // the front of the file, user block included; zeros follow
    uint64_t file_bytes = 0;       // size of the whole file, at least bytes.size()
  };
  // Closes the file. Datasets and groups of it must be gone by then.
  Content close();

 private:
  struct Buffer;
  NewImage(std::unique_ptr<Buffer> buffer, Handle file, Handle root, const std::string& name);
  std::unique_ptr<Buffer> buffer_;
  Handle file_handle_;
};

// A file that lies in memory, read as any other; `image` is copied. bad_input when it is not HDF5.
class ImageReader : public Group {
 public:
  static ImageReader open(const std::string& name, std::span<const std::byte> image);
  ImageReader(ImageReader&&) = default;
  ~ImageReader();

 private:
  ImageReader(Handle file, Handle root, const std::string& name);
  Handle file_handle_;
};

}  // namespace lacuna::hdf5
