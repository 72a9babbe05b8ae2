#include "data/files/stored_rows.h"

#include <cstring>
#include <vector>

#include "base/error.h"

namespace lacuna {

namespace {

// [rows, count] becomes [count, rows].
template <size_t size>
void transpose(const std::byte* from, int64_t rows, int64_t count, std::byte* to) {
  constexpr int64_t tile = 64;
  const auto place = [](int64_t number) { return static_cast<size_t>(number) * size; };
  for (int64_t r0 = 0; r0 < rows; r0 += tile)
    for (int64_t c0 = 0; c0 < count; c0 += tile)
      for (int64_t r = r0; r < std::min(rows, r0 + tile); ++r)
        for (int64_t c = c0; c < std::min(count, c0 + tile); ++c)
          std::memcpy(to + place(c * rows + r), from + place(r * count + c), size);
}

void read_transposed(const hdf5::Dataset& dataset, int64_t values, int64_t first, int64_t count,
                     void* to, DType as) {
  const size_t size = size_of(as);
  std::vector<std::byte> stored(static_cast<size_t>(values * count) * size);
  dataset.read_last_axis(first, count, stored.data(), as);
  auto* rows = static_cast<std::byte*>(to);
  if (size == 1) return transpose<1>(stored.data(), values, count, rows);
  if (size == 2) return transpose<2>(stored.data(), values, count, rows);
  if (size == 4) return transpose<4>(stored.data(), values, count, rows);
  LACUNA_CHECK(size == 8, size);
  transpose<8>(stored.data(), values, count, rows);
}

}  // namespace

hdf5::Dataset open_stored(const hdf5::File& file, const Field& field, const FieldStorage& storage,
                          int64_t chunk_cache) {
  return file.dataset(storage.members.empty() ? field.path : storage.members[0], chunk_cache);
}

void read_stored(const hdf5::File& file, const hdf5::Dataset& dataset, const FieldStorage& storage,
                 int64_t first, int64_t count, void* to, DType as) {
  if (!storage.members.empty()) {
    const auto bytes = static_cast<size_t>(storage.shape.from(1).count()) * size_of(as);
    auto* row = static_cast<std::byte*>(to);
    for (int64_t i = first; i < first + count; ++i, row += bytes)
      file.dataset(storage.members[static_cast<size_t>(i)]).read(row, as);
  } else if (storage.last) {
    read_transposed(dataset, storage.shape.from(1).count(), first, count, to, as);
  } else if (storage.shape.rank() == 0) {
    dataset.read(to, as);
  } else {
    dataset.read_rows(first, count, to, as);
  }
}

}  // namespace lacuna
