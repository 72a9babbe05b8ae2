// Writes a DurableFile from its front to its end past the page cache (direct I/O: O_DIRECT of
// open(2)). What is written beside a training must not take the cores that it computes on, and
// finding pages of the cache and copying to them was most of what a checkpoint cost
// (docs/reliability.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "io/durable_file.h"

namespace lacuna {

// Errors: DurableFile's. A file system without direct I/O is written to through the cache.
class DirectStream {
 public:
  // A new file, which outlives the stream.
  explicit DirectStream(DurableFile& file);
  DirectStream(const DirectStream&) = delete;
  DirectStream& operator=(const DirectStream&) = delete;

  void append(const void* data, size_t bytes);
  // Hands over what is still in the buffer; nothing is appended afterwards.
  void finish();

 private:
  void put(size_t bytes);

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  DurableFile& file_;
  std::unique_ptr<std::byte, Free> buffer_;
  size_t filled_ = 0;
  uint64_t written_ = 0;
};

}  // namespace lacuna
