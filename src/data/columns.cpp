#include "data/columns.h"

#include <utility>

namespace lacuna {

namespace {

// What counts the rows of a column, and what belongs to one of them.
struct Rows {
  int64_t count = 0;
  Shape row;
};

Rows rows_of(const Dataset& dataset, const DataFile& file, const Shape& shape) {
  const auto of_all = [&](int64_t count) {
    return count == file.samples() || count == file.places.series();
  };
  if (shape.rank() == 2 && shape[0] == 1 && !of_all(1) && of_all(shape[1]))
    return {shape[1], Shape{}};
  // Behind fewer axes than count samples there may be a row for each series.
  int axes = dataset.column_axes(shape);
  while (axes > 1 && !of_all(shape.slice(0, axes).count()) &&
         of_all(shape.slice(0, axes - 1).count()))
    --axes;
  return {shape.slice(0, axes).count(), shape.from(axes)};
}

}  // namespace

bool Column::fits(const Dataset& dataset, const DataFile& file, const hdf5::Dataset& stored) {
  const int64_t rows = rows_of(dataset, file, stored.shape()).count;
  return rows == file.samples() ||
         (dataset.layout() != SampleLayout{} && rows == file.places.series());
}

Column::Column(const Dataset& dataset, const DataFile& file, const hdf5::Dataset& stored)
    : file_(file), stored_(stored) {
  if (!fits(dataset, file, stored))
    bad_input(stored.file(), ": ", stored.path(), " has the shape ", stored.shape(),
              ", but there are ", file.samples(),
              " samples: name a column with one row for each sample");
  const Rows rows = rows_of(dataset, file, stored.shape());
  per_series_ = rows.count != file.samples();
  row_ = rows.row;
}

std::vector<int64_t> Column::rows() const {
  std::vector<int64_t> all;
  all.reserve(static_cast<size_t>(file_.samples()));
  for (int64_t sample = 0; sample < file_.samples(); ++sample)
    all.push_back(per_series_ ? file_.places.series_of(sample) : sample);
  return all;
}

template <typename T>
std::vector<T> Column::of_samples(std::vector<T> rows) const {
  if (!per_series_) return rows;
  const int64_t width = row_.count();
  std::vector<T> all;
  all.reserve(static_cast<size_t>(file_.samples() * width));
  for (const int64_t row : this->rows()) {
    const auto from = rows.begin() + row * width;
    all.insert(all.end(), from, from + width);
  }
  return all;
}

template std::vector<int64_t> Column::of_samples(std::vector<int64_t>) const;
template std::vector<double> Column::of_samples(std::vector<double>) const;
template std::vector<std::string> Column::of_samples(std::vector<std::string>) const;

void for_each_column(const Dataset& dataset, const std::string& path,
                     const std::function<void(const Column& column)>& show) {
  for (const DataFile& file : dataset.files()) {
    const hdf5::File opened = hdf5::File::open(file.path);
    const hdf5::Dataset stored = opened.dataset(path);
    show(Column(dataset, file, stored));
  }
}

}  // namespace lacuna
