// write-samples FILE COUNT EDGE CHANNELS [CLASSES]: a data set for measuring where there is neither
// Python nor data: "images" [COUNT, EDGE, EDGE, CHANNELS] of bytes in chunks of 1 MiB or so, and
// "labels" [COUNT]. An image is a gradient whose direction is its class, with noise.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "io/hdf5.h"

using namespace lacuna;

namespace {

void draw_image(int64_t number, int64_t edge, int64_t channels, int64_t label, int64_t classes,
                uint8_t* to) {
  const Draws draws(1, Purpose::test, static_cast<uint64_t>(number));
  const double angle =
      6.283185307179586 * static_cast<double>(label) / static_cast<double>(classes);
  uint32_t draw = 0;
  for (int64_t y = 0; y < edge; ++y) {
    for (int64_t x = 0; x < edge; ++x) {
      const double along = (std::cos(angle) * static_cast<double>(2 * x - edge) +
                            std::sin(angle) * static_cast<double>(2 * y - edge)) /
                           static_cast<double>(edge);
      for (int64_t c = 0; c < channels; ++c)
        *to++ = static_cast<uint8_t>(80 + 50 * (along + 1) / 1.5 + 60 * draws.uniform(draw++));
    }
  }
}

void write(const std::string& path, int64_t count, int64_t edge, int64_t channels,
           int64_t classes) {
  hdf5::File file = hdf5::File::create(path);
  const int64_t sample = edge * edge * channels;
  const int64_t rows = std::clamp<int64_t>((int64_t{1} << 20) / sample, 1, count);
  hdf5::Storage storage;
  storage.chunk = Shape{rows, edge, edge, channels};
  hdf5::Dataset images =
      file.create_dataset("images", DType::u8, {count, edge, edge, channels}, storage);
  std::vector<uint8_t> block(static_cast<size_t>(rows * sample));
  std::vector<int64_t> labels;
  for (int64_t first = 0; first < count; first += rows) {
    const int64_t held = std::min(rows, count - first);
    for (int64_t i = 0; i < held; ++i) {
      labels.push_back((first + i) % classes);
      draw_image(first + i, edge, channels, labels.back(), classes, block.data() + i * sample);
    }
    images.write_rows(first, held, block.data(), DType::u8);
  }
  file.create_dataset("labels", DType::i64, {count}).write(labels.data(), DType::i64);
  file.close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 6) {
    std::fprintf(stderr, "usage: write-samples FILE COUNT EDGE CHANNELS [CLASSES]\n");
    return 2;
  }
  try {
    write(argv[1], std::stoll(argv[2]), std::stoll(argv[3]), std::stoll(argv[4]),
          argc > 5 ? std::stoll(argv[5]) : 10);
  } catch (const Error& error) {
    std::fprintf(stderr, "write-samples: %s\n", error.what());
    return static_cast<int>(error.status());
  }
  return 0;
}
