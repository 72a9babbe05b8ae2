// An HDF5 file in plain words: what `lacuna inspect` prints.
#pragma once

#include <string>

namespace lacuna {

// What the file is (data set, or what Lacuna wrote), its attributes, and a line for each dataset
// with shape, type, chunks, filters and bytes stored. Error bad_input when it cannot be read.
std::string describe_file(const std::string& path);

}  // namespace lacuna
