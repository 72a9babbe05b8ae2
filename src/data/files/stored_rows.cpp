#include "data/files/stored_rows.h"

#include <algorithm>
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
                     void* to, DType as, int parts) {
  const size_t size = size_of(as) * static_cast<size_t>(parts);
  std::vector<std::byte> stored(static_cast<size_t>(values * count) * size);
  dataset.read_along(dataset.shape().rank() - 1, first, count, stored.data(), as, parts);
  auto* rows = static_cast<std::byte*>(to);
  if (size == 1) return transpose<1>(stored.data(), values, count, rows);
  if (size == 2) return transpose<2>(stored.data(), values, count, rows);
  if (size == 4) return transpose<4>(stored.data(), values, count, rows);
  if (size == 8) return transpose<8>(stored.data(), values, count, rows);
  LACUNA_CHECK(size == 16, size);
  transpose<16>(stored.data(), values, count, rows);
}

}  // namespace

hdf5::Dataset open_stored(const hdf5::File& file, const Field& field, const FieldStorage& storage,
                          int64_t chunk_cache) {
  return file.dataset(storage.members.empty() ? field.path : storage.members[0], chunk_cache);
}

void read_stored(const hdf5::File& file, const hdf5::Dataset& dataset, const FieldStorage& storage,
                 int64_t first, int64_t count, void* to, DType as) {
  const int parts = storage.complex ? 2 : 1;
  if (!storage.members.empty()) {
    const auto bytes = static_cast<size_t>(storage.shape.from(1).count()) * size_of(as);
    auto* row = static_cast<std::byte*>(to);
    for (int64_t i = first; i < first + count; ++i, row += bytes) {
      const hdf5::Dataset member = file.dataset(storage.members[static_cast<size_t>(i)]);
      member.read_along(0, 0, member.rows(), row, as, parts);
    }
  } else if (storage.last) {
    read_transposed(dataset, storage.shape.from(1).count() / parts, first, count, to, as, parts);
  } else {
    dataset.read_along(0, first, count, to, as, parts);
  }
}

namespace {

// The row of a field in a file, as it is stored.
std::vector<std::byte> read_one(const hdf5::File& file, const Dataset& dataset, const DataFile& in,
                                int number, int64_t row) {
  const auto f = static_cast<size_t>(number);
  const Field& field = dataset.fields()[f];
  const FieldStorage& storage = in.fields[f];
  const int64_t per_entry = dataset.rows_per_entry(in, number);
  const int64_t entries = field.row_axes == 0 && storage.shape.rank() > 0 ? storage.shape[0] : 1;
  const auto row_bytes = static_cast<size_t>(field.shape.count()) * size_of(storage.dtype);
  std::vector<std::byte> stored(static_cast<size_t>(per_entry) * row_bytes);
  read_stored(file, open_stored(file, field, storage), storage, row / per_entry, entries,
              stored.data(), storage.dtype);
  const auto from = stored.begin() + static_cast<int64_t>(row_bytes) * (row % per_entry);
  return {from, from + static_cast<int64_t>(row_bytes)};
}

}  // namespace

void read_sample_row(const hdf5::File& file, const Dataset& dataset, const DataFile& in,
                     int64_t row, void* to) {
  const Field& field = dataset.fields()[0];
  const FieldStorage& storage = in.fields[0];
  const std::vector<std::byte> stored = read_one(file, dataset, in, 0, row);
  if (!dataset.decodes(in)) {
    std::copy(stored.begin(), stored.end(), static_cast<std::byte*>(to));
    return;
  }
  const int64_t count = field.shape.count();
  decode_numbers(stored.data(), storage.dtype, storage.meaning, count, to, field.dtype);
  if (!dataset.has_field(valid_field)) return;
  const int valid = dataset.field(valid_field);
  const std::vector<std::byte> of_row = read_one(file, dataset, in, valid, row);
  hide_invalid(to, field.dtype, count, of_row.data(), in.fields[static_cast<size_t>(valid)].dtype,
               dataset.validity());
}

}  // namespace lacuna
