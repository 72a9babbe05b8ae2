// Samples that are a dataset each, named by a pattern: "sample_*/image".
#pragma once

#include <string>
#include <vector>

#include "io/hdf5.h"

namespace lacuna {

// Whether a path inside a file holds *, ? or [.
bool is_pattern(const std::string& path);

// The datasets that the pattern matches, name by name between slashes, in natural order ("a2"
// before "a10"); none where something in the file has this very path.
std::vector<std::string> matching_datasets(const hdf5::Group& file, const std::string& pattern);

// Whether a comes before b where digits are compared as the numbers that they are.
bool natural_less(const std::string& a, const std::string& b);

}  // namespace lacuna
