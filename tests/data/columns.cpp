// Columns beside the samples of two files, on one rank and on three.
#include "data/columns.h"

#include <catch2/catch.hpp>

#include "io/write_hdf5.h"
#include "support/temporary_folder.h"
#include "support/thread_communicators.h"

using namespace lacuna;

namespace {

// Files of 3 and 2 samples, with a column of pairs, one of which the second file has too short.
void write_files(const std::string& folder) {
  const std::vector<float> samples(3 * 4);
  std::vector<double> pairs(6);
  for (const hsize_t rows : {hsize_t{3}, hsize_t{2}}) {
    for (size_t i = 0; i < pairs.size(); ++i)
      pairs[i] = static_cast<double>(i) + (rows == 2 ? 10 : 0);
    written::DataFile file(concat(folder, "/", rows == 3 ? "a" : "b", ".h5"));
    file.add("x", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {rows, 4}, samples.data());
    file.add("pairs", H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE, {rows, 2}, pairs.data());
    file.add("short", H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE, {rows == 3 ? rows : 1}, pairs.data());
  }
}

std::vector<double> numbers_of(const Dataset& dataset, const std::string& path,
                               Communicator& communicator) {
  return read_on_rank_0<double>(communicator, [&] {
    CHECK(communicator.rank() == 0);
    std::vector<double> all;
    for_each_column(dataset, path, [&](const Column& column) {
      const std::vector<double> of_file = column.numbers<double>();
      CHECK(column.file().first == static_cast<int64_t>(all.size()) / 2);
      all.insert(all.end(), of_file.begin(), of_file.end());
    });
    return all;
  });
}

}  // namespace

TEST_CASE("columns: every rank has those of all files, in data-set order") {
  const TemporaryFolder folder;
  write_files(folder.path().string());
  for (const int ranks : {1, 3}) {
    std::vector<std::vector<double>> found(static_cast<size_t>(ranks));
    std::vector<std::string> refused(static_cast<size_t>(ranks));
    on_ranks(ranks, [&](Communicator& communicator) {
      const auto rank = static_cast<size_t>(communicator.rank());
      const Dataset dataset({(folder / "*.h5").string()}, {{"sample", "x"}}, communicator);
      found[rank] = numbers_of(dataset, "pairs", communicator);
      for (const char* path : {"short", "absent"}) {
        try {
          numbers_of(dataset, path, communicator);
        } catch (const Error& error) {
          refused[rank] += error.what();
        }
      }
    });
    for (int rank = 0; rank < ranks; ++rank) {
      const auto at = static_cast<size_t>(rank);
      CHECK(found[at] == std::vector<double>{0, 1, 2, 3, 4, 5, 10, 11, 12, 13});
      CHECK_THAT(refused[at],
                 Catch::Contains("b.h5: /short has the shape [1], but there are 2 samples") &&
                     Catch::Contains("absent"));
    }
  }
}
