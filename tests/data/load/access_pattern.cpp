// What access_pattern() counts is what the loader reads, and its h5repack line mends it.
#include "data/load/access_pattern.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "data/load/loader.h"
#include "data/options.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Matchers::Contains;

namespace {

constexpr int64_t batch = 64;

OrderSpec order_of(const Dataset& dataset, int64_t buffer) {
  const LaneLayout layout =
      choose_lanes(batch, dataset.blocks(), dataset.largest_block_bytes(), buffer);
  OrderSpec order;
  order.block_samples = dataset.block_samples();
  order.lanes = layout.lanes;
  order.window = layout.window;
  return order;
}

// Bytes that an epoch of one rank reads by system calls, without those of the first chunk, which is
// read both by HDF5 and without it.
double bytes_read(const Dataset& dataset, const OrderSpec& order, int64_t buffer) {
  const auto count = [] {
    std::ifstream io("/proc/self/io");
    std::string name;
    int64_t value = 0;
    while (io >> name >> value && name != "rchar:") {
    }
    return value;
  };
  const int64_t before = count();
  LoaderOptions options;
  options.batch = batch;
  options.buffer = buffer;
  options.end = dataset.samples();
  Loader loader(dataset, std::make_unique<Order>(order), std::make_shared<StoredFields>(dataset),
                options);
  while (loader.next()) {
  }
  const Shape& chunk = dataset.files()[0].fields[0].chunk;
  const int64_t first = chunk.rank() > 0 ? chunk.count() : dataset.largest_block_bytes();
  return static_cast<double>(count() - before - first);
}

std::vector<uint8_t> noise(size_t count) {
  std::vector<uint8_t> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
  return values;
}

struct Case {
  std::string what;
  std::vector<hsize_t> shape, chunk;
  double storage;   // amplification
  std::string why;  // of the advice; "": none
};

bool have_h5repack() { return std::system("command -v h5repack > /dev/null") == 0; }

// Runs the line that is advised, and returns the file that it made.
std::string repacked(const Dataset& dataset, const AccessPattern& pattern,
                     const TemporaryFolder& folder) {
  const std::string line = h5repack_line(dataset, pattern);
  REQUIRE_THAT(line, Catch::Matchers::EndsWith(" NEW.h5"));
  REQUIRE(std::system(("cd " + folder.path().string() + " && " + line).c_str()) == 0);
  return folder / "NEW.h5";
}

}  // namespace

TEST_CASE("read amplification of chunks is what the loader reads, and the advice ends it") {
  constexpr int64_t buffer = 16 << 20;
  const std::vector<Case> cases = {
      {"fit", {4096, 16, 16}, {64, 16, 16}, 1.0, ""},
      {"not chunked", {4096, 16, 16}, {}, 1.0, ""},
      {"jutting out of samples", {4096, 16, 16}, {64, 10, 10}, 400.0 / 256, "jut out of samples"},
      {"jutting out of rows", {1100, 16, 16}, {1024, 16, 16}, 2048.0 / 1100, "jut out"},
      {"too large", {4096, 64, 64}, {2048, 64, 64}, 1.0, "too large to be shuffled"},
      {"of one sample",
       {4096, 32, 32},
       {1, 32, 32},
       1.0,
       "so small that the data are read in 4096"},
  };
  const auto alone = self_communicator();
  for (const Case& c : cases) {
    INFO(c.what);
    const TemporaryFolder folder;
    const std::string path = folder / "a.h5";
    hsize_t count = 1;
    for (const hsize_t size : c.shape) count *= size;
    written::DataFile(path).add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, c.shape, noise(count).data(),
                                {.chunk = c.chunk});
    const Dataset dataset({path}, {{sample_field, "x"}}, *alone);
    const OrderSpec order = order_of(dataset, buffer);
    const AccessPattern pattern = access_pattern(dataset, order, batch, 1, buffer);
    CHECK(pattern.storage == Approx(c.storage));
    const double read = bytes_read(dataset, order, buffer) / static_cast<double>(count);
    CHECK(read == Approx(pattern.amplification()).epsilon(0.1));
    if (c.why.empty()) {
      CHECK(h5repack_line(dataset, pattern).empty());
      continue;
    }
    REQUIRE(pattern.unfit.size() == 1);
    CHECK_THAT(pattern.unfit[0].why, Contains(c.why));
    if (!have_h5repack()) continue;
    const std::string better = repacked(dataset, pattern, folder);
    const Dataset mended({better}, {{sample_field, "x"}}, *alone);
    const OrderSpec after = order_of(mended, buffer);
    const AccessPattern now = access_pattern(mended, after, batch, 1, buffer);
    CHECK(now.unfit.empty());
    CHECK(now.amplification() < 1.1);
    CHECK(bytes_read(mended, after, buffer) / static_cast<double>(count) < 1.1);
    CHECK(after.lanes >= 24);
  }
}

TEST_CASE("labels in one large compressed chunk are read again and again, and the advice ends it") {
  constexpr int64_t buffer = 16 << 20, samples = 1 << 19;
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    written::DataFile file(path);
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {samples, 16}, noise(samples * 16).data(),
             {.chunk = {8192, 16}});
    std::vector<int64_t> labels(samples);
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i % 7);
    file.add("y", H5T_STD_I64LE, H5T_NATIVE_INT64, {samples}, labels.data(),
             {.chunk = {samples}, .shuffle = true});
  }
  const auto alone = self_communicator();
  const std::vector<FieldSpec> fields = {{sample_field, "x"}, {label_field, "y"}};
  const Dataset dataset({path}, fields, *alone);
  const OrderSpec order = order_of(dataset, buffer);
  const AccessPattern pattern = access_pattern(dataset, order, batch, 1, buffer);
  // 64 blocks, each of which needs the chunk: 4 MiB of labels, 1 MiB of which the library keeps.
  CHECK(pattern.storage == Approx((16.0 + 64 * 8) / 24));
  const double read = bytes_read(dataset, order, buffer) / (24.0 * samples);
  CHECK(read == Approx(pattern.storage).epsilon(0.1));
  REQUIRE(pattern.unfit.size() == 1);
  CHECK_THAT(pattern.unfit[0].why, Contains("of /y are read again") && Contains("64 times in all"));
  if (!have_h5repack()) return;
  const Dataset mended({repacked(dataset, pattern, folder)}, fields, *alone);
  const OrderSpec after = order_of(mended, buffer);
  CHECK(access_pattern(mended, after, batch, 1, buffer).storage == 1);
  CHECK(bytes_read(mended, after, buffer) / (24.0 * samples) < 1.1);
}

TEST_CASE("a rank holds what fits into the buffer, and what its lanes need in any case") {
  const TemporaryFolder folder;
  written::DataFile(folder / "a.h5")
      .add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {4096, 4096}, noise(4096 * 4096).data(),
           {.chunk = {64, 4096}});
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{sample_field, "x"}}, *alone);
  OrderSpec order = order_of(dataset, 64 << 20);
  CHECK(access_pattern(dataset, order, batch, 1, 64 << 20).held_bytes == 16 << 20);  // all
  CHECK(access_pattern(dataset, order, batch, 1, 8 << 20).held_bytes >= 6 << 20);
  order.lanes = 48;
  order.window = 1;
  CHECK(access_pattern(dataset, order, batch, 1, 1 << 20).held_bytes == 12 << 20);
  CHECK(access_pattern(dataset, order, batch, 4, 1 << 20).held_bytes == 3 << 20);
}

TEST_CASE("lines at the start tell lanes and cost and how chunks are mended") {
  const TemporaryFolder folder;
  written::DataFile(folder / "a.h5")
      .add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {512, 4096}, noise(512 * 4096).data(),
           {.chunk = {256, 4096}});
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{sample_field, "x"}}, *alone);
  OrderSpec order = order_of(dataset, 4 << 20);
  order.lanes = 2;
  const AccessPattern pattern = access_pattern(dataset, order, batch, 4, 4 << 20);
  const std::vector<std::string> lines = reading_lines(dataset, order, pattern, 4);
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[0], Contains("512 samples in 1 file, 2 blocks of up to 1 MiB, 2 lanes") &&
                           Contains("on 4 ranks: bytes read x 2,"));
  CHECK_THAT(lines[1], Contains("h5repack -l /x:CHUNK=10x4096 ") && Contains("a.h5 NEW.h5"));
}
