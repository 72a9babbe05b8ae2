// The HDF5 wrapper against files made by the library's own calls, and the sentences of bad input.
#include "io/hdf5.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Contains;

namespace {

std::string sentence_of_opening(const std::string& path) {
  try {
    hdf5::File::open(path);
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "opened";
}

}  // namespace

TEST_CASE("hdf5 values and attributes come back as written") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<std::string> names = {"eins", "zwei", ""};
  {
    hdf5::File file = hdf5::File::create(path);
    file.set("text", "grün");
    file.set("count", 7);
    file.set("rate", 0.25);
    file.set("mean", std::vector<double>{1.5, 2.5});
    file.set("names", std::span<const std::string>(names));
    hdf5::Dataset data = file.create_dataset("a/b/x", DType::f32, {3, 2});
    data.write(values.data(), DType::f32);
    data.set("unit", "m");
    hdf5::Dataset growing =
        file.create_dataset("grown", DType::i64, {0},
                            {.chunk = Shape{4}, .deflate = 1, .shuffle = true, .growing = true});
    growing.grow(3);
    const std::vector<int32_t> more = {-1, 5, 9};
    growing.write_rows(0, 3, more.data(), DType::i32);
    file.create_texts("files", names);
    file.close();
  }
  const hdf5::File file = hdf5::File::open(path);
  CHECK(file.text("text") == "grün");
  CHECK(file.integer("count") == 7);
  CHECK(file.number("rate") == 0.25);
  CHECK(file.numbers("mean") == std::vector<double>{1.5, 2.5});
  CHECK(file.texts("names") == names);
  CHECK(file.datasets() == std::vector<std::string>{"/a/b/x", "/files", "/grown"});
  CHECK(hdf5::contents_text(file) == "/a/b/x [3, 2] float32, /files [3] text, /grown [3] int64");
  const hdf5::Dataset x = file.group("a").dataset("b/x");
  CHECK(x.path() == "/a/b/x");
  CHECK(x.text("unit") == "m");
  std::vector<double> row(2);
  x.read_rows(1, 1, row.data(), DType::f64);
  CHECK(row == std::vector<double>{3, 4});
  CHECK(file.dataset("grown").read().as<int64_t>()[2] == 9);
  CHECK(file.dataset("files").read_texts(0, 3) == names);
  CHECK_THROWS_WITH(file.text("nothing"), Contains("has no attribute nothing"));
}

TEST_CASE("hdf5 16 bit floats of both kinds keep their values") {
  const TemporaryFolder folder;
  const std::vector<float> values = {1.5f, -0.25f, 96.0f};
  for (const DType dtype : {DType::f16, DType::bf16}) {
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    file.create_dataset("x", dtype, {3}).write(values.data(), DType::f32);
    const hdf5::Dataset x = file.dataset("x");
    CHECK(x.dtype() == dtype);
    std::vector<float> back(3);
    x.read(back.data(), DType::f32);
    CHECK(back == values);
    std::vector<uint16_t> bits(3);
    x.read(bits.data(), dtype);
    CHECK(bits[0] ==
          (dtype == DType::f16 ? 0x3e00 : 0x3fc0));  // IEEE 754 half; upper half of float
  }
}

TEST_CASE("hdf5 rows of any type are copied between files") {
  const TemporaryFolder folder;
  hdf5::File from = hdf5::File::create(folder / "from.h5");
  const std::vector<std::string> names = {"a", "bb", "ccc"};
  from.create_texts("name", names);
  hdf5::File to = hdf5::File::create(folder / "to.h5");
  const hdf5::Dataset source = from.dataset("name");
  hdf5::Dataset copy = to.create_like("copy/name", source, {4});
  copy.copy_rows(source, std::vector<int64_t>{1, 2}, 0);
  copy.copy_rows(source, std::vector<int64_t>{0, 0}, 2);
  CHECK(copy.read_texts(0, 4) == std::vector<std::string>{"bb", "ccc", "a", "a"});
}

TEST_CASE("hdf5 early allocated data lies where offset tells") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  uint64_t offset = 0;
  {
    hdf5::File file = hdf5::File::create(path);
    offset = file.create_dataset("x", DType::i32, {4}, {.allocate_early = true}).offset().value();
    file.close();
  }
  {
    std::fstream raw(path, std::ios::in | std::ios::out | std::ios::binary);
    const int32_t values[4] = {3, 1, 4, 1};
    raw.seekp(static_cast<std::streamoff>(offset));
    raw.write(reinterpret_cast<const char*>(values), sizeof(values));
  }
  CHECK(hdf5::File::open(path).dataset("x").read().as<int32_t>()[2] == 4);
}

TEST_CASE("hdf5 files that cannot be read are told apart") {
  const TemporaryFolder folder;
  const std::string good = folder / "cells.h5";
  {
    hdf5::File file = hdf5::File::create(good);
    std::vector<uint8_t> values(100000, 1);
    file.create_dataset("images", DType::u8, {100, 1000}).write(values.data(), DType::u8);
    file.close();
  }
  CHECK_THAT(sentence_of_opening(folder / "cels.h5"),
             Contains("there is no file") && Contains("did you mean cells.h5?"));
  CHECK_THAT(sentence_of_opening(folder / "."), Contains("is a folder"));
  std::ofstream(folder / "text.h5") << "hello, this is a text and no HDF5 file";
  CHECK_THAT(sentence_of_opening(folder / "text.h5"), Contains("is not an HDF5 file"));
  std::ofstream(folder / "empty.h5");
  CHECK_THAT(sentence_of_opening(folder / "empty.h5"), Contains("it is empty"));
  const auto size = std::filesystem::file_size(good);
  std::filesystem::copy_file(good, folder / "half.h5");
  std::filesystem::resize_file(folder / "half.h5", size / 2);
  CHECK_THAT(sentence_of_opening(folder / "half.h5"),
             Contains("is truncated") && Contains(concat(size / 2, " bytes of ", size)));

  const hdf5::File file = hdf5::File::open(good);
  CHECK_THROWS_WITH(file.dataset("image"), Contains("there is no dataset /image in") &&
                                               Contains("did you mean /images?") &&
                                               Contains("/images [100, 1000] uint8"));
  CHECK_THROWS_WITH(hdf5::File::create(folder / "no/folder.h5"), Contains("No such file"));
}

TEST_CASE("hdf5 file whose lock is refused is read without") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    hdf5::File file = hdf5::File::create(path);
    const int32_t value = 42;
    file.create_dataset("x", DType::i32, {1}).write(&value, DType::i32);
    file.close();
  }
  CHECK_FALSE(hdf5::File::open(path).unlocked());
  const int other = ::open(path.c_str(), O_RDWR);
  REQUIRE(flock(other, LOCK_EX) == 0);
  const hdf5::File file = hdf5::File::open(path);
  CHECK(file.unlocked());
  CHECK(file.dataset("x").read().as<int32_t>()[0] == 42);
  ::close(other);
}

TEST_CASE("hdf5 shapes that no file can hold are refused before memory is taken") {
  CHECK(hdf5::shape_of(std::vector<int64_t>{3, 0, 4}) == Shape{3, 0, 4});
  CHECK_FALSE(hdf5::shape_of(std::vector<int64_t>(9, 1)));
  CHECK_FALSE(hdf5::shape_of(std::vector<int64_t>{2, -1}));
  CHECK_FALSE(hdf5::shape_of(std::vector<int64_t>{0, int64_t{1} << 40, int64_t{1} << 40}));

  const TemporaryFolder folder;
  const hsize_t far = hsize_t{1} << 40;
  {
    written::DataFile file(folder / "a.h5");
    file.add("/absent", H5T_STD_I64LE, H5T_NATIVE_INT64, {far}, nullptr, {.chunk = {1024}});
    file.add("/texts", H5T_C_S1, H5T_C_S1, {far}, nullptr, {.chunk = {1024}});
    file.add("/beyond", H5T_STD_I64LE, H5T_NATIVE_INT64, {far, far}, nullptr, {.chunk = {8, 8}});
  }
  const hdf5::File file = hdf5::File::open(folder / "a.h5");
  CHECK_THROWS_WITH(file.dataset("absent").values<int64_t>(),
                    Contains("cannot hold: it is damaged"));
  CHECK_THROWS_WITH(file.dataset("absent").read(), Contains("cannot hold: it is damaged"));
  CHECK_THROWS_WITH(file.dataset("texts").texts(), Contains("cannot hold: it is damaged"));
  CHECK_THROWS_WITH(file.dataset("texts").only_text(), Contains("instead of one text"));
  CHECK_THROWS_WITH(file.dataset("beyond"), Contains("has no shape"));
}
