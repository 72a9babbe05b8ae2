// The check of a column of offsets (data/files/layout.h), wherever it is read.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"

namespace lacuna {

// Where offsets stand, and what they are of.
struct OffsetsPlace {
  const std::string& path;  // of the column
  const std::string& file;
  const std::string& samples;  // path
  int64_t rows = 0;            // that the samples' dataset has
};

// bad_input unless they never fall and lie between 0 and the rows. `first`: the number of the first
// of them in the file.
inline void check_offsets(std::span<const int64_t> offsets, int64_t first,
                          const OffsetsPlace& place) {
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    if (offsets[i] >= 0 && offsets[i] <= offsets[i + 1] && offsets[i + 1] <= place.rows) continue;
    bad_input(place.path, " in ", place.file, " has ", offsets[i], " before ", offsets[i + 1],
              " at ", first + static_cast<int64_t>(i),
              ", but offsets must not fall and must lie between 0 and the ", place.rows,
              " rows of ", place.samples);
  }
}

}  // namespace lacuna
