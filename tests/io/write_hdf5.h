// Data files for tests, written through the C interface of HDF5 itself.
#pragma once

#include <string>
#include <vector>

#include "io/hdf5_private.h"

namespace written {

// How a dataset is stored; dimensions of `chunk` may be fewer than the shape's (none: contiguous).
struct Style {
  std::vector<hsize_t> chunk = {};
  bool shuffle = false;
  int deflate = 0;
  bool fletcher32 = false;
  bool fletcher32_first = false;
  bool allocate_late = false;
};

class DataFile {
 public:
  explicit DataFile(const std::string& path, hsize_t user_block = 0) {
    const hid_t plist = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(plist, user_block);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, plist, H5P_DEFAULT);
    H5Pclose(plist);
  }
  ~DataFile() { H5Fclose(file_); }
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  hid_t id() const { return file_; }

  // Values of type `memory`, stored as `stored`; values may be null.
  void add(const std::string& path, hid_t stored, hid_t memory, const std::vector<hsize_t>& shape,
           const void* values, const Style& style = {}) {
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (!style.chunk.empty()) {
      H5Pset_chunk(plist, static_cast<int>(shape.size()), style.chunk.data());
      if (style.fletcher32_first) H5Pset_fletcher32(plist);
      if (style.shuffle) H5Pset_shuffle(plist);
      if (style.deflate > 0) H5Pset_deflate(plist, static_cast<unsigned>(style.deflate));
      if (style.fletcher32) H5Pset_fletcher32(plist);
    }
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t dataset = H5Dcreate2(file_, path.c_str(), stored, space, links, plist, H5P_DEFAULT);
    if (values != nullptr) H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
    H5Pclose(plist);
  }

 private:
  hid_t file_;
};

// IEEE half precision, as h5py makes the type.
inline hid_t half_type(bool big_endian) {
  const hid_t type = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

}  // namespace written
