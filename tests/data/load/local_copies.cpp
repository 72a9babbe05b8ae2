#include "data/load/local_copies.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <numeric>

#include "data/load/block_reader.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace fs = std::filesystem;

namespace {

constexpr int64_t rows = 6;

// Data in three files, row r of file f holding 100 f + r.
struct Files {
  TemporaryFolder folder;
  std::unique_ptr<Communicator> self = self_communicator();
  fs::path stage = folder.path() / "stage";
  std::vector<std::string> warnings;

  Files() {
    for (int file = 0; file < 3; ++file) write(path(file), 100 * file);
  }
  std::string path(int file) const {
    return (folder.path() / ("data-" + std::to_string(file) + ".h5")).string();
  }
  static void write(const std::string& path, int first) {
    std::vector<float> values(rows);
    std::iota(values.begin(), values.end(), static_cast<float>(first));
    written::DataFile(path).add("x", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {rows, 1}, values.data(),
                                {.chunk = {2, 1}});
  }
  Dataset dataset() { return {{(folder.path() / "data-*.h5").string()}, {{"sample", "x"}}, *self}; }
  LocalCopies::Warn warn() {
    return [this](const std::string& sentence) { warnings.push_back(sentence); };
  }
};

bool comes(const std::function<bool()>& what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!what() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return what();
}

float first_value(BlockReader& reader, const Dataset& dataset, int file) {
  const auto block = dataset.files()[static_cast<size_t>(file)].first_block;
  return reader.read(block).fields[0].as<float>()[0];
}

}  // namespace

TEST_CASE("local copies: of the node's ranks together, read once they are whole, gone at the end") {
  Files files;
  const Dataset dataset = files.dataset();
  {
    LocalCopies second(dataset, files.stage, "run", {.rank = 1, .ranks = 2}, files.warn());
    CHECK(comes([&] { return second.path(1) != files.path(1); }));
    CHECK(!second.is_complete());  // files 0 and 2 are the other rank's
    CHECK(second.path(0) == files.path(0));
    auto reader = std::make_unique<BlockReader>(dataset, 1 << 20, &second);
    CHECK(first_value(*reader, dataset, 0) == 0);
    LocalCopies first(dataset, files.stage, "run", {.rank = 0, .ranks = 2}, files.warn());
    CHECK(comes([&] { return second.is_complete(); }));
    CHECK(comes([&] { return first.is_complete(); }));
    for (int file = 0; file < 3; ++file)
      CHECK(first_value(*reader, dataset, file) == 100.0F * static_cast<float>(file));
    reader.reset();  // HDF5 does not write to what it has open
    // That it is the copy that is read: one that holds something else.
    const fs::file_time_type time = fs::last_write_time(files.path(2));
    Files::write(second.path(2), 7);
    fs::last_write_time(second.path(2), time);
    BlockReader fresh(dataset, 1 << 20, &second);
    CHECK(first_value(fresh, dataset, 2) == 7);
  }
  CHECK(fs::is_empty(files.stage));
  CHECK(files.warnings.empty());
}

TEST_CASE(
    "local copies: what a killed start left is used when it is whole, and not when it is of "
    "another file") {
  Files files;
  const Dataset dataset = files.dataset();
  fs::path left;
  {
    LocalCopies copies(dataset, files.stage, "run", {}, files.warn());
    CHECK(comes([&] { return copies.is_complete(); }));
    left = fs::path(copies.path(0)).parent_path();
    fs::copy(left, files.folder.path() / "left");
  }
  fs::create_directories(left);
  fs::copy(files.folder.path() / "left" / "0.h5", left / "0.h5");  // of another time
  fs::copy(files.folder.path() / "left" / "1.h5", left / "1.h5");
  fs::last_write_time(left / "1.h5", fs::last_write_time(files.path(1)));
  Files::write((left / "0.h5").string(), 55);
  std::ofstream(left / "2.h5.part") << "half";
  LocalCopies copies(dataset, files.stage, "run", {}, files.warn());
  CHECK(comes([&] { return copies.is_complete(); }));
  BlockReader reader(dataset, 1 << 20, &copies);
  for (int file = 0; file < 3; ++file)
    CHECK(first_value(reader, dataset, file) == 100.0F * static_cast<float>(file));
}

TEST_CASE("local copies: a folder that cannot be used is told, and the originals are read") {
  Files files;
  const Dataset dataset = files.dataset();
  std::ofstream(files.stage) << "a file";
  LocalCopies copies(dataset, files.stage, "run", {}, files.warn());
  CHECK(comes([&] { return !files.warnings.empty(); }));
  CHECK_THAT(files.warnings.at(0), Catch::Contains("data.stage: cannot make the folder"));
  BlockReader reader(dataset, 1 << 20, &copies);
  CHECK(first_value(reader, dataset, 1) == 100);
}
