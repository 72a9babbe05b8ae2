#include "stages/inspect/describe.h"

#include <catch2/catch.hpp>
#include <vector>

#include "base/text.h"
#include "io/hdf5.h"
#include "support/temporary_folder.h"

namespace lacuna {

TEST_CASE("inspect: a data set is told by its rows and shapes and storage") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    auto file = hdf5::File::create(path);
    auto images = file.create_dataset("raw/images", DType::u8, Shape{6, 8, 8},
                                      {.chunk = Shape{2, 8, 8}, .deflate = 4, .shuffle = true});
    const std::vector<uint8_t> pixels(6 * 64, 7);
    images.write(pixels.data(), DType::u8);
    images.set("unit", "counts");
    auto label = file.create_dataset("label", DType::i64, Shape{6});
    const std::vector<int64_t> labels = {0, 1, 2, 3, 4, 5};
    label.write(labels.data(), DType::i64);
    file.set("title", "a small set\nof images\nand labels\n");
    file.set("wavelengths", std::vector<double>{0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    file.close();
  }
  const std::string text = describe_file(path);
  CHECK_THAT(text, Catch::StartsWith(path + ": a data set of 6 samples, "));
  CHECK_THAT(text, Catch::Contains("\n/label  [6] int64, contiguous, 48 B stored\n"));
  CHECK_THAT(text, Catch::Contains("\n/raw/images  [6, 8, 8] uint8, chunks of [2, 8, 8], "));
  CHECK_THAT(text, Catch::Contains("\n    unit: counts\n"));
  CHECK_THAT(text, Catch::Contains("\n  title: a text of 3 lines\n"));
  CHECK_THAT(text, Catch::Contains("\n  wavelengths: 0.5, 1, 2, 3, 4, 5, 6, 7, ... (10 values)\n"));
}

TEST_CASE("inspect: what Lacuna wrote is told by its format") {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.h5";
  {
    auto file = hdf5::File::create(path);
    file.create_dataset("tensors/encoder.stem.weight", DType::f32, Shape{16, 1, 3, 3});
    file.create_dataset("step", DType::i64, Shape{});
    file.set("format", "lacuna checkpoint");
    file.set("step", 1200);
    file.close();
  }
  const std::string text = describe_file(path);
  CHECK_THAT(text, Catch::StartsWith(path + ": checkpoint written by Lacuna, "));
  CHECK_THAT(text, Catch::Contains("\n  step: 1200\n"));
  CHECK_THAT(text, Catch::Contains("\n/tensors/encoder.stem.weight  [16, 1, 3, 3] float32, "));
}

TEST_CASE("inspect: datasets of different length are plain HDF5 and none is said") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5", empty = folder / "b.h5";
  {
    auto file = hdf5::File::create(path);
    file.create_dataset("a", DType::f32, Shape{3});
    file.create_dataset("b", DType::f32, Shape{4, 2});
    file.close();
    hdf5::File::create(empty).close();
  }
  CHECK_THAT(describe_file(path), Catch::StartsWith(path + ": plain HDF5, "));
  CHECK_THAT(describe_file(empty), Catch::StartsWith(empty + ": no dataset, "));
  CHECK_THROWS_AS(describe_file(folder / "none.h5"), Error);
}

}  // namespace lacuna
