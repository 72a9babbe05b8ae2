// What reading costs in bytes and memory, by the kernel's own counters.
#include <catch2/catch.hpp>
#include <fstream>

#include "data/load/loader.h"
#include "data/order/order.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

// Bytes that this process has read by system calls so far.
int64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string name;
  int64_t value = 0;
  while (io >> name >> value) {
    if (name == "rchar:") return value;
  }
  return -1;
}

// A figure in KiB of /proc/self/status: VmHWM is the peak of VmRSS.
int64_t memory_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stoll(line.substr(name.size() + 1));
  }
  return -1;
}

// Bytes read by `ranks` ranks, one after the other, for `epochs` epochs.
int64_t bytes_of_ranks(const Dataset& dataset, LoaderOptions options, int ranks, int epochs) {
  const LaneLayout layout =
      choose_lanes(options.batch, dataset.blocks(), dataset.largest_block_bytes(), options.buffer);
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.lanes = layout.lanes;
  spec.window = layout.window;
  const int64_t before = bytes_read();
  options.ranks = ranks;
  options.end = epochs * dataset.samples();
  for (options.rank = 0; options.rank < ranks; ++options.rank) {
    Loader loader(dataset, std::make_unique<Order>(spec), std::make_shared<StoredFields>(dataset),
                  options);
    while (loader.next()) {
    }
  }
  return bytes_read() - before;
}

void write_images(const std::string& path, const written::Style& style) {
  std::vector<uint8_t> values(4096 * 32 * 32 * 3);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
  std::vector<uint8_t> labels(4096, 1);
  written::DataFile file(path);
  file.add("images", H5T_STD_U8LE, H5T_NATIVE_UINT8, {4096, 32, 32, 3}, values.data(), style);
  file.add("label", H5T_STD_U8LE, H5T_NATIVE_UINT8, {4096}, labels.data());
}

}  // namespace

TEST_CASE("bytes read by four ranks stay within 1.1 of the data") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  for (const written::Style& style :
       {written::Style{}, written::Style{.chunk = {16, 32, 32, 3}},
        written::Style{.chunk = {64, 16, 32, 3}, .shuffle = true, .deflate = 1}}) {
    write_images(path, style);
    const auto alone = self_communicator();
    const Dataset dataset({path}, {{"image", "images"}, {"label", "label"}}, *alone);
    const auto size = static_cast<double>(std::filesystem::file_size(path));
    for (const int workers : {0, 2}) {
      LoaderOptions options;
      options.batch = 256;
      options.workers = workers;
      options.buffer = 10 << 20;  // four lanes at least; not all of the data
      const int64_t read = bytes_of_ranks(dataset, options, 4, 2);
      CHECK(static_cast<double>(read) / (2 * size) < 1.1);
      CHECK(static_cast<double>(read) / (2 * size) > 0.5);
      options.buffer = 64 << 20;  // all of it stays
      CHECK(static_cast<double>(bytes_of_ranks(dataset, options, 1, 3)) / size < 1.1);
    }
  }
}

TEST_CASE("reading 600 MB takes less than 100 MB of memory") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    // Never written: the file has a hole there, so the test costs no disk.
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("images", DType::u8, {600, 1000, 1000}, {.allocate_early = true});
    file.close();
  }
  const auto alone = self_communicator();
  const Dataset dataset({path}, {{"image", "images"}}, *alone);
  for (const int workers : {0, 2}) {
    std::ofstream("/proc/self/clear_refs") << "5";  // forgets the peak so far
    LoaderOptions options;
    options.batch = 8;
    options.workers = workers;
    options.buffer = 32 << 20;
    const int64_t before = memory_kib("VmRSS");  // 15 MB alone, more after other tests
    CHECK(bytes_of_ranks(dataset, options, 1, 1) > 590000000);
    CHECK(memory_kib("VmHWM") - before < 80 * 1000);
  }
}
