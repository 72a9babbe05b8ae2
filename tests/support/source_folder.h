// Where the files lie that tests read: golden values, inputs, pages.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace lacuna::testing {

// LACUNA_SOURCE, as ctest sets it, or the nearest folder above this program that has tests/golden.
// No path is compiled in, so that a program can be moved to another machine with the files that it
// reads.
inline std::filesystem::path source_folder() {
  if (const char* given = std::getenv("LACUNA_SOURCE")) return given;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  for (auto folder = program.parent_path(); folder != folder.root_path();
       folder = folder.parent_path())
    if (std::filesystem::exists(folder / "tests/golden")) return folder;
  throw std::runtime_error("no folder above " + program.string() +
                           " has tests/golden; name the sources in LACUNA_SOURCE");
}

}  // namespace lacuna::testing
