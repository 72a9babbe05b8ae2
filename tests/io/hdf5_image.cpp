#include "io/hdf5_image.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"

using namespace lacuna;

TEST_CASE("hdf5 image: values allocated early take no memory and do not overlap") {
  constexpr int count = 200;
  constexpr int64_t elements = 25 << 20;
  hdf5::NewImage image = hdf5::NewImage::create("/absent/part.h5", 3072 * count + (64 << 10));
  uint64_t end = 0;
  for (int i = 0; i < count; ++i) {
    const auto dataset =
        image.create_dataset(concat("/state/encoder/layer", i / 10, "/", i % 10, "/conv1/weight"),
                             DType::f32, {elements}, {.allocate_early = true});
    REQUIRE(dataset.offset());
    CHECK(*dataset.offset() >= end);
    CHECK(*dataset.offset() % 4096 == 0);
    end = *dataset.offset() + 4 * elements;
  }
  const auto content = image.close();
  CHECK(content.file_bytes >= end);
  CHECK(content.bytes.size() < 1 << 20);  // of 20 GiB
}

TEST_CASE("hdf5 image: what was written is read from the bytes") {
  for (const size_t user_block : {0, 512}) {
    for (const size_t metadata : {64, 1 << 16}) {  // too little is no error
      hdf5::NewImage image = hdf5::NewImage::create("an image", metadata, user_block);
      const std::vector<double> values{1.5, -2.5, 1e300};
      image.create_dataset("/a/b", DType::f64, {3}).write(values.data(), DType::f64);
      image.create_texts("/text", std::vector<std::string>{"one", "", "drei über"});
      for (int i = 0; i < 50; ++i) image.set(concat("attribute", i), int64_t{i});
      auto content = image.close();
      content.bytes.resize(content.file_bytes);
      std::memset(content.bytes.data(), 'x', user_block);
      const auto read = hdf5::ImageReader::open("an image", content.bytes);
      const HostTensor back = read.dataset("/a/b").read();
      CHECK(std::memcmp(back.data(), values.data(), 24) == 0);
      CHECK(read.dataset("/text").read_texts(0, 3) ==
            std::vector<std::string>{"one", "", "drei über"});
      CHECK(read.integer("attribute49") == 49);
    }
  }
}

TEST_CASE("hdf5 image: bytes that are no HDF5 file are refused by name") {
  const std::vector<std::byte> bytes(5000, std::byte{7});
  CHECK_THROWS_WITH(hdf5::ImageReader::open("a/file.h5", bytes),
                    Catch::StartsWith("cannot open a/file.h5 as HDF5: "));
}
