// The loader against values that the test itself wrote through HDF5's own interface.
#include "data/loader.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>

#include "base/random.h"
#include "data/block_reader.h"
#include "data/order.h"
#include "data/temporary_folder.h"
#include "data/write_hdf5.h"

using namespace lacuna;
using Catch::Contains;

namespace {

// The value of element i of a sample; exact in every type that is read.
int value_of(int64_t sample, int64_t i) { return static_cast<int>((sample * 7 + i * 3) % 120); }

template <typename T = int32_t>
std::vector<T> values_of(int64_t first, int64_t samples, int64_t elements) {
  std::vector<T> values;
  for (int64_t s = first; s < first + samples; ++s) {
    for (int64_t i = 0; i < elements; ++i) values.push_back(static_cast<T>(value_of(s, i)));
  }
  return values;
}

std::unique_ptr<Order> order_of(const Dataset& dataset, int64_t lanes = 2, int64_t window = 1) {
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.lanes = lanes;
  spec.window = window;
  spec.seed = 3;
  return std::make_unique<Order>(spec);
}

// Reads one epoch and compares every element of the field "x" with value_of().
void check_all_values(const Dataset& dataset, LoaderOptions options = {}) {
  options.batch = 8;
  options.end = dataset.samples();
  Loader loader(dataset, order_of(dataset), std::make_shared<StoredRows>(dataset), options);
  std::set<int64_t> seen;
  while (std::optional<Batch> batch = loader.next()) {
    const HostTensor& x = batch->field("x");
    const int64_t elements = x.shape().from(1).count();
    for (int64_t row = 0; row < batch->local_count(); ++row) {
      const int64_t sample = batch->samples[static_cast<size_t>(row)];
      CHECK(seen.insert(sample).second);
      for (int64_t i = 0; i < elements; ++i) {
        const double got = element_value(x.data(), row * elements + i, x.dtype());
        if (got != value_of(sample, i)) {
          FAIL("sample " << sample << " element " << i << " is " << got << " instead of "
                         << value_of(sample, i));
        }
      }
    }
  }
  CHECK(static_cast<int64_t>(seen.size()) == dataset.samples());
}

Dataset open_x(const std::vector<std::string>& files) {
  const std::unique_ptr<Communicator> alone = self_communicator();
  return Dataset(files, {{"x", "x"}}, *alone);
}

}  // namespace

TEST_CASE("loader reads every element type in either byte order") {
  const TemporaryFolder folder;
  const std::vector<int32_t> values = values_of(0, 21, 12);
  struct Type {
    hid_t stored;
    DType dtype;
  };
  const hid_t half[2] = {written::half_type(false), written::half_type(true)};
  for (const Type type :
       {Type{H5T_STD_U8LE, DType::u8}, Type{H5T_STD_I8LE, DType::i16},
        Type{H5T_STD_U16LE, DType::u16}, Type{H5T_STD_U16BE, DType::u16},
        Type{H5T_STD_I16LE, DType::i16}, Type{H5T_STD_I16BE, DType::i16},
        Type{H5T_STD_I32LE, DType::i32}, Type{H5T_STD_I32BE, DType::i32},
        Type{H5T_STD_U32BE, DType::i64}, Type{H5T_STD_I64LE, DType::i64},
        Type{H5T_STD_I64BE, DType::i64}, Type{H5T_IEEE_F32LE, DType::f32},
        Type{H5T_IEEE_F32BE, DType::f32}, Type{H5T_IEEE_F64LE, DType::f64},
        Type{H5T_IEEE_F64BE, DType::f64}, Type{half[0], DType::f16}, Type{half[1], DType::f16}}) {
    for (const bool chunked : {false, true}) {
      written::Style style;
      if (chunked) style = {.chunk = {5, 4, 3}, .shuffle = true, .deflate = 4};
      written::DataFile(folder / "a.h5")
          .add("x", type.stored, H5T_NATIVE_INT, {21, 4, 3}, values.data(), style);
      const Dataset dataset = open_x({folder / "a.h5"});
      CHECK(dataset.fields()[0].dtype == type.dtype);
      check_all_values(dataset);
    }
  }
  H5Tclose(half[0]);
  H5Tclose(half[1]);
}

TEST_CASE("loader reads every chunking and filter") {
  const TemporaryFolder folder;
  const std::vector<int32_t> values = values_of(0, 23, 60);
  const std::vector<std::vector<hsize_t>> chunks = {{1, 5, 4, 3}, {4, 5, 4, 3}, {23, 5, 4, 3},
                                                    {7, 2, 3, 2}, {5, 5, 1, 3}, {6, 3, 4, 3}};
  for (const std::vector<hsize_t>& chunk : chunks) {
    for (const written::Style& filters :
         {written::Style{}, written::Style{.deflate = 1}, written::Style{.shuffle = true},
          written::Style{.shuffle = true, .deflate = 6}, written::Style{.fletcher32 = true},
          written::Style{.shuffle = true, .deflate = 6, .fletcher32 = true},
          written::Style{.shuffle = true, .deflate = 6, .fletcher32_first = true},
          written::Style{.deflate = 2, .fletcher32_first = true}}) {
      written::Style style = filters;
      style.chunk = chunk;
      for (const hid_t stored : {H5T_STD_I16LE, H5T_IEEE_F64BE}) {
        written::DataFile(folder / "a.h5")
            .add("x", stored, H5T_NATIVE_INT, {23, 5, 4, 3}, values.data(), style);
        const Dataset dataset = open_x({folder / "a.h5"});
        BlockReader reader(dataset);
        reader.read(0);
        CHECK(reader.way(0, 0) == BlockReader::Way::direct);
        check_all_values(dataset);
      }
    }
  }
}
