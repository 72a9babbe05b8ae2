#include "data/files/columns.h"

#include "base/error.h"
#include "io/hdf5.h"

namespace lacuna {

template <typename T>
std::vector<T> column_of(const Dataset& dataset, const DataFile& file, int field) {
  const Field& column = dataset.fields()[static_cast<size_t>(field)];
  LACUNA_CHECK(column.shape.count() == 1, column.path, " has rows of ", column.shape);
  const hdf5::File opened = hdf5::File::open(file.path);
  std::vector<T> rows = opened.dataset(column.path).values<T>();
  if (!column.per_series) return rows;
  std::vector<T> all;
  all.reserve(static_cast<size_t>(file.samples()));
  for (int64_t i = 0; i < file.samples(); ++i)
    all.push_back(rows[static_cast<size_t>(dataset.rows_of(file, field, i).first)]);
  return all;
}

template std::vector<int64_t> column_of<int64_t>(const Dataset&, const DataFile&, int);
template std::vector<double> column_of<double>(const Dataset&, const DataFile&, int);

}  // namespace lacuna
