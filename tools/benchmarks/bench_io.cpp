// One measurement of reading, each in a process of its own so that its peak memory is its own;
// driven by tools/bench-io. Prints one line of JSON.
//
//   bench-io-once write FILE MIB GZIP_LEVEL     images [N, 64, 64, 3] uint8 that gzip halves or so
//   bench-io-once plain FILE                    sequential H5Dread, 16 MiB at a time
//   bench-io-once loader FILE WORKERS BUFFER    one epoch in training order, rows copied to batches
//
// plain and loader first drop the file from the page cache, and fail if it stays there.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "comm/communicator.h"
#include "data/load/loader.h"
#include "data/order/order.h"
#include "io/hdf5.h"

using namespace lacuna;

namespace {

constexpr int64_t edge = 64, channels = 3, image_bytes = edge * edge * channels;
constexpr int64_t rows_per_chunk = 32;  // 384 KiB

// Share of the file's pages that are in memory.
double cached_share(int fd, size_t bytes) {
  void* map = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) bad_input("cannot map the file");
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  mincore(map, bytes, resident.data());
  munmap(map, bytes);
  const auto in_memory =
      std::count_if(resident.begin(), resident.end(), [](unsigned char r) { return (r & 1) != 0; });
  return static_cast<double>(in_memory) / static_cast<double>(resident.size());
}

void drop_from_cache(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) bad_input("cannot open ", path);
  struct stat status {};
  fstat(fd, &status);
  fsync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  const double share = cached_share(fd, static_cast<size_t>(status.st_size));
  close(fd);
  if (share > 0.01) bad_input(path, " stays in the page cache: ", 100 * share, " % of it");
}

// Smooth pictures with some noise in the low bits, a function of the index.
void draw_image(int64_t sample, uint8_t* to) {
  const Draws draws(1, Purpose::plot, static_cast<uint64_t>(sample));
  const auto tilt = static_cast<int64_t>(draws.below(0, 7)),
             base = static_cast<int64_t>(draws.below(1, 128));
  for (int64_t i = 0; i < image_bytes; ++i) {
    const int64_t y = i / (edge * channels), x = i / channels % edge;
    const uint32_t noise =
        (static_cast<uint32_t>(i) * 2654435761u + static_cast<uint32_t>(sample)) >> 29;
    to[i] = static_cast<uint8_t>(base + (tilt * x + y) / 4 + static_cast<int64_t>(noise));
  }
}

void write_file(const std::string& path, int64_t mib, int level) {
  const int64_t images = std::max<int64_t>(rows_per_chunk, (mib << 20) / image_bytes);
  hdf5::File file = hdf5::File::create(path);
  hdf5::Storage storage;
  storage.chunk = {rows_per_chunk, edge, edge, channels};
  storage.deflate = level;
  hdf5::Dataset dataset =
      file.create_dataset("images", DType::u8, {images, edge, edge, channels}, storage);
  std::vector<uint8_t> rows(rows_per_chunk * image_bytes);
  for (int64_t first = 0; first < images; first += rows_per_chunk) {
    const int64_t count = std::min(rows_per_chunk, images - first);
    for (int64_t i = 0; i < count; ++i) draw_image(first + i, rows.data() + i * image_bytes);
    dataset.write_rows(first, count, rows.data(), DType::u8);
  }
  file.close();
}

int64_t read_plain(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  const hdf5::Dataset dataset = file.dataset("images");
  const int64_t step = (16 << 20) / image_bytes / rows_per_chunk * rows_per_chunk;
  std::vector<uint8_t> rows(static_cast<size_t>(step * image_bytes));
  for (int64_t first = 0; first < dataset.rows(); first += step) {
    dataset.read_rows(first, std::min(step, dataset.rows() - first), rows.data(), DType::u8);
  }
  return dataset.rows();
}

int64_t read_with_loader(const std::string& path, int workers, int64_t buffer) {
  const auto alone = self_communicator();
  const Dataset dataset({path}, {{"images", "images"}}, *alone);
  LoaderOptions options;
  options.batch = 256;
  options.end = dataset.samples();
  options.buffer = buffer;
  options.workers = workers;
  const LaneLayout layout =
      choose_lanes(options.batch, dataset.blocks(), dataset.largest_block_bytes(), buffer);
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.lanes = layout.lanes;
  spec.window = layout.window;
  Loader loader(dataset, std::make_unique<Order>(spec), std::make_shared<StoredFields>(dataset),
                options);
  int64_t samples = 0;
  while (const std::optional<Batch> batch = loader.next()) samples += batch->local_count();
  return samples;
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 4 && words[0] == "write") {
    write_file(words[1], std::stoll(words[2]), std::stoi(words[3]));
    std::printf("{}\n");
    return 0;
  }
  const bool plain = words.size() == 2 && words[0] == "plain";
  if (!plain && !(words.size() == 4 && words[0] == "loader"))
    bad_input("see the head of bench_io.cpp");
  drop_from_cache(words[1]);
  const auto begin = std::chrono::steady_clock::now();
  const int64_t samples =
      plain ? read_plain(words[1])
            : read_with_loader(words[1], std::stoi(words[2]), std::stoll(words[3]));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"samples\": %lld, \"seconds\": %.6f, \"peak_mib\": %.1f}\n",
              static_cast<long long>(samples), seconds.count(),
              static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {
    std::fprintf(stderr, "bench-io-once: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
