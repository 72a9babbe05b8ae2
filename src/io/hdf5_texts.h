// Texts in HDF5 files. For .cpp files of this folder, which hold a Lock.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

// UTF-8 of variable length.
Handle text_type();

// The `count` texts, of fixed or of variable length, of the selection `space`; `read(type, buffer)`
// reads them and says whether it could. None when not.
std::vector<std::string> collect_texts(hid_t stored_type, hid_t space, size_t count,
                                       const std::function<bool(hid_t, void*)>& read);

}  // namespace lacuna::hdf5
