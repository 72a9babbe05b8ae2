// From bytes of a file to values in memory: HDF5's filters undone, byte order, 16-bit floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace lacuna {

// Numbers of the filters that HDF5 itself defines.
enum class ChunkFilter : int { deflate = 1, shuffle = 2, fletcher32 = 3 };

// Undoes the filters of one chunk, last written first. Holds its memory; one per thread.
class ChunkDecoder {
 public:
  // `stored` as it lies in the file; `size` bytes are written to `to`. Returns "" or what is wrong.
  std::string decode(std::span<const std::byte> stored, std::span<const int> filters,
                     size_t element_size, std::byte* to, size_t size);

  ChunkDecoder();
  ~ChunkDecoder();
  ChunkDecoder(const ChunkDecoder&) = delete;
  ChunkDecoder& operator=(const ChunkDecoder&) = delete;

 private:
  bool inflate(std::span<const std::byte> stored, std::byte* to, size_t size);
  std::vector<std::byte> first_, second_;
  void* inflater_ = nullptr;  // z_stream or libdeflate's, by what was found
};

// Reverses the bytes of each of `count` elements.
void swap_bytes(void* data, size_t count, size_t element_size);

// Index of the first NaN or infinity, or -1; for integers always -1.
int64_t first_not_finite(const void* data, int64_t count, DType dtype);

// HDF5's Fletcher checksum: words of 16 bits, the first byte the higher one.
uint32_t fletcher32(std::span<const std::byte> data);

// One element of any of the types as a double.
double element_value(const void* data, int64_t index, DType dtype);

}  // namespace lacuna
