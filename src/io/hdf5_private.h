// For .cpp files that call the HDF5 library themselves.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

#include "io/hdf5.h"

namespace lacuna::hdf5 {

static_assert(sizeof(hid_t) == sizeof(int64_t), "HDF5 1.10 or later");

// Held around every call of the library; recursive. The first one turns off its error printing.
class Lock {
 public:
  Lock();

 private:
  std::lock_guard<std::recursive_mutex> guard_;
};

// What the last failed call left on the library's error stack: the innermost description, and the
// errno that it mentions (0: none).
struct Failure {
  std::string text;
  int error_number = 0;
};
Failure last_failure();

// Every description on the error stack, for recognising a cause.
std::string failure_stack();

// no_space, with why the last call failed to write `what` in `file`.
[[noreturn]] void cannot_write(const std::string& file, const std::string& what);
void check_write(herr_t status, const std::string& file, const std::string& what);
// bad_input: what is copied has types that only its own file knows.
[[noreturn]] void cannot_copy(const Dataset& from, const std::string& why);

template <herr_t (*close)(hid_t)>
Handle own(hid_t id) {
  return Handle(id, [](int64_t i) -> int { return close(i); });
}

// The type of `dtype` in memory (native byte order), or in a file (little-endian, or big).
Handle memory_type(DType dtype);
Handle file_type(DType dtype, bool big_endian = false);

// Where a chunk lies in the file: as the library tells it, so perhaps without the user block. None
// when the chunk is not allocated or skipped a filter. `origin` counts from row `row`.
struct ChunkPlace {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};
std::optional<ChunkPlace> chunk_place(const Dataset& dataset, int64_t row, const Shape& origin);

}  // namespace lacuna::hdf5
