// Columns: what stands in the files beside the samples (labels, targets, groups, times), a row for
// each sample or for each series that samples are of, read outside the loader: rank 0 reads, every
// rank gets the values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/agree.h"
#include "data/files/dataset.h"
#include "io/hdf5.h"

namespace lacuna {

// A column in one file of a data set. What it returns has a row for each sample of the file, in
// their order: every sample of a series has the series' row.
//
// As MATLAB writes them, [1, samples] is read as [samples].
class Column {
 public:
  // bad_input where it has a row neither for each sample nor for each series. Uses what it is given
  // as long as it lives. `stored` may lie in another file than the samples.
  Column(const Dataset& dataset, const DataFile& file, const hdf5::Dataset& stored);
  // Whether it has.
  static bool fits(const Dataset& dataset, const DataFile& file, const hdf5::Dataset& stored);

  const DataFile& file() const { return file_; }
  const hdf5::Dataset& stored() const { return stored_; }
  const Shape& row() const { return row_; }  // what belongs to one sample
  // [samples] + row(), as T: int64_t or double.
  template <typename T>
  std::vector<T> numbers() const {
    return of_samples(stored_.values<T>());
  }
  // Of a column of texts.
  std::vector<std::string> texts() const { return of_samples(stored_.texts()); }
  // Of each sample the row of the column, counted along all axes that count rows.
  std::vector<int64_t> rows() const;

 private:
  template <typename T>
  std::vector<T> of_samples(std::vector<T> rows) const;

  const DataFile& file_;
  const hdf5::Dataset& stored_;
  Shape row_;
  bool per_series_ = false;
};

// Shows the column of each file in data-set order. Not collective. bad_input where a file has no
// column of that path, or one of another number of rows.
void for_each_column(const Dataset& dataset, const std::string& path,
                     const std::function<void(const Column& column)>& show);

// Collective. What `read` makes on rank 0, on every rank; its Error is every rank's.
template <typename T>
std::vector<T> read_on_rank_0(Communicator& communicator,
                              const std::function<std::vector<T>()>& read) {
  std::vector<T> values;
  agreed(communicator, [&] {
    if (communicator.rank() == 0) values = read();
  });
  size_t count = values.size();
  communicator.broadcast(&count, sizeof count, 0).wait();
  values.resize(count);
  if (count > 0) communicator.broadcast(values.data(), count * sizeof(T), 0).wait();
  return values;
}

}  // namespace lacuna
