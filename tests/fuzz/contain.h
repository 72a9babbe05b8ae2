// Inputs read in child processes, so that what kills one of them is counted, and the rest goes on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fuzz/target.h"

namespace lacuna::fuzz {

struct Options {
  uint64_t seed = 1;
  uint64_t first = 0, inputs = 1000;
  int jobs = 1;
  double most_seconds = 10;  // of the processor, for one input: a hang
};

// How often something happened, and with which input first.
struct Occurrence {
  uint64_t count = 0;
  uint64_t first = 0;
};

struct Tally {
  uint64_t read = 0, refused = 0;
  // What a child died of, and where it hung, by the function that it was in.
  std::map<std::string, Occurrence> crashes, crashes_of_hdf5, hangs, hangs_of_hdf5;
  std::string first_log;  // of what is ours
  double seconds = 0;
};
uint64_t count_of(const std::map<std::string, Occurrence>& occurrences);

Tally read_all(const Target& target, const std::vector<Input>& seeds, const Options& options);

// In this process. Returns what the reader said: "" where it read the input.
std::string read_one(const Target& target, const Input& input, const std::filesystem::path& folder);
void write_input(const Input& input, const std::filesystem::path& folder);

// The function that a report of the sanitizers, or of broken_rule(), blames, and whether it is
// HDF5's.
struct Blame {
  std::string where;
  bool hdf5 = false;
};
Blame blame_of(const std::string& log);

// A folder on a file system in memory, if there is one; removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace lacuna::fuzz
