#include "data/columns.h"

#include <utility>

namespace lacuna {

Column::Column(const Dataset& dataset, const DataFile& file, const hdf5::Dataset& stored)
    : file_(file), stored_(stored) {
  const Shape& shape = stored.shape();
  const int axes = dataset.column_axes(shape);
  const int64_t rows = shape.slice(0, axes).count();
  per_series_ = rows != file.samples();
  if (per_series_ && (dataset.layout() == SampleLayout{} || rows != file.places.series()))
    bad_input(file.path, ": ", stored.path(), " has the shape ", shape, ", but there are ",
              file.samples(), " samples: name a column with one row for each sample");
  row_ = shape.from(axes);
}

template <typename T>
std::vector<T> Column::of_samples(std::vector<T> rows) const {
  if (!per_series_) return rows;
  const int64_t width = row_.count();
  std::vector<T> all;
  all.reserve(static_cast<size_t>(file_.samples() * width));
  for (int64_t sample = 0; sample < file_.samples(); ++sample) {
    const auto from = rows.begin() + file_.places.series_of(sample) * width;
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
