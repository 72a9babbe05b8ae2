// Samples of several rows, samples along several axes and samples that are files, through the
// loader, against values that the test itself wrote.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "data/load/access_pattern.h"
#include "data/load/block_reader.h"
#include "data/load/loader.h"
#include "data/options.h"
#include "data/order/order.h"
#include "data/values/statistics.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Contains;

namespace {

constexpr int64_t channels = 2;

int16_t value_of(int64_t file, int64_t row, int64_t channel) {
  return static_cast<int16_t>((row * 31 + channel * 7 + file * 1009) % 32003);
}

std::vector<int16_t> rows_of_file(int64_t file, int64_t rows) {
  std::vector<int16_t> values;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) values.push_back(value_of(file, row, c));
  }
  return values;
}

// A sample as it comes: how many rows, and up to `most` of them.
class Rows final : public Recipe {
 public:
  explicit Rows(int64_t most)
      : outputs_({{"count", {}, DType::i64}, {"rows", {most, channels}, DType::i16}}) {}
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent> stored, const SampleKey&, std::span<void* const> to,
            Scratch&) const override {
    *static_cast<int64_t*>(to[0]) = stored[0].length;
    const auto most = outputs_[1].shape[0];
    std::memset(to[1], 0, static_cast<size_t>(most * channels) * sizeof(int16_t));
    const auto bytes =
        static_cast<size_t>(std::min(most, stored[0].length) * channels) * sizeof(int16_t);
    if (bytes > 0) std::memcpy(to[1], stored[0].data, bytes);
  }

 private:
  std::vector<OutputField> outputs_;
};

struct Expected {
  int64_t file = 0;
  RowRange rows;
};

// One epoch, of which every sample must be what is expected of it.
void check_samples(const Dataset& dataset, const std::vector<Expected>& expected,
                   LoaderOptions options = {}) {
  REQUIRE(dataset.samples() == static_cast<int64_t>(expected.size()));
  int64_t most = 1;
  for (const Expected& e : expected) most = std::max(most, e.rows.count);
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.lanes = 2;
  spec.seed = 5;
  options.batch = 64;
  options.end = dataset.samples();
  Loader loader(dataset, std::make_unique<Order>(spec), std::make_shared<Rows>(most), options);
  std::set<int64_t> seen;
  while (std::optional<Batch> batch = loader.next()) {
    for (int64_t i = 0; i < batch->local_count(); ++i) {
      const int64_t sample = batch->samples[static_cast<size_t>(i)];
      REQUIRE(seen.insert(sample).second);
      const Expected& e = expected[static_cast<size_t>(sample)];
      const auto count = batch->field("count").as<int64_t>()[static_cast<size_t>(i)];
      if (count != e.rows.count) FAIL("sample " << sample << " has " << count << " rows");
      const int16_t* got =
          batch->field("rows").as<int16_t>().data() + static_cast<size_t>(i * most * channels);
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t c = 0; c < channels; ++c, ++got) {
          if (*got != value_of(e.file, e.rows.first + r, c)) {
            FAIL("sample " << sample << ", row " << r << " is " << *got << " instead of "
                           << value_of(e.file, e.rows.first + r, c));
          }
        }
      }
    }
  }
  CHECK(static_cast<int64_t>(seen.size()) == dataset.samples());
}

Dataset open(const std::vector<std::string>& files, const SampleLayout& layout,
             bool labelled = false) {
  const std::unique_ptr<Communicator> alone = self_communicator();
  std::vector<FieldSpec> fields = {{sample_field, "x"}};
  if (labelled) fields.push_back({label_field, "y"});
  return Dataset(files, fields, *alone, layout);
}

void write_rows(written::DataFile& file, const std::vector<hsize_t>& shape, int64_t number,
                const written::Style& style = {}) {
  int64_t rows = 1;
  for (size_t axis = 0; axis + 1 < shape.size(); ++axis) rows *= static_cast<int64_t>(shape[axis]);
  file.add("x", H5T_STD_I16LE, H5T_NATIVE_SHORT, shape, rows_of_file(number, rows).data(), style);
}

std::vector<Expected> windows(int64_t file, int64_t first, int64_t end, int64_t length,
                              int64_t hop) {
  std::vector<Expected> all;
  for (int64_t row = first; row + length <= end; row += hop) all.push_back({file, {row, length}});
  return all;
}

void append(std::vector<Expected>& to, const std::vector<Expected>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// Lengths of 0 to 59, the same each time.
std::vector<int64_t> some_offsets(int64_t extents) {
  std::vector<int64_t> offsets = {3};
  for (int64_t i = 0; i < extents; ++i) offsets.push_back(offsets.back() + (i * 37 + 11) % 60);
  return offsets;
}

}  // namespace

TEST_CASE("overlapping windows of long series cross chunks and blocks but no file's end") {
  const TemporaryFolder folder;
  const std::vector<int64_t> lengths = {700'000, 90, 300'011};
  const std::vector<written::Style> styles = {
      {}, {.chunk = {1000, 2}, .deflate = 1}, {.chunk = {4096, 1}, .shuffle = true, .deflate = 1}};
  for (const written::Style& style : styles) {
    std::vector<Expected> expected;
    for (size_t f = 0; f < lengths.size(); ++f) {
      const auto number = static_cast<int64_t>(f);
      written::DataFile file(folder / (std::to_string(f) + ".h5"), f == 0 ? 512 : 0);
      written::Style own = style;
      if (!own.chunk.empty())
        own.chunk[0] = std::min(own.chunk[0], static_cast<hsize_t>(lengths[f]));
      write_rows(file, {static_cast<hsize_t>(lengths[f]), channels}, number, own);
      append(expected, windows(number, 0, lengths[f], 128, 100));
    }
    const Dataset dataset = open({folder / "*.h5"}, {.leading = 0, .length = 128, .hop = 100});
    CHECK(dataset.blocks() > 3);
    REQUIRE(dataset.warnings().size() == 1);
    CHECK_THAT(dataset.warnings()[0], Contains("1 of 3 series are shorter than data.length"));
    check_samples(dataset, expected);
    check_samples(dataset, expected, {.workers = 2});
    BlockReader reader(dataset);
    reader.read(0);
    CHECK(reader.way(0, 0) != BlockReader::Way::library);
    // Little is read twice.
    OrderSpec spec;
    spec.block_samples = dataset.block_samples();
    CHECK(access_pattern(dataset, spec, 64, 1, 1 << 30).storage < 1.1);
  }
}

TEST_CASE("windows of rows that are series stay within each") {
  const TemporaryFolder folder;
  for (const written::Style& style :
       {written::Style{}, written::Style{.chunk = {4, 50, 2}, .deflate = 1},
        written::Style{.chunk = {1, 300, 2}}}) {
    {
      written::DataFile file(folder / "a.h5");
      write_rows(file, {23, 300, channels}, 0, style);
    }
    std::vector<Expected> expected;
    for (int64_t s = 0; s < 23; ++s) append(expected, windows(0, s * 300, (s + 1) * 300, 70, 32));
    check_samples(open({folder / "a.h5"}, {.leading = 1, .length = 70, .hop = 32}), expected);
  }
}

TEST_CASE("extents of other lengths are read with their offsets") {
  const TemporaryFolder folder;
  const std::vector<int64_t> offsets = some_offsets(30'000);
  for (const written::Style& style :
       {written::Style{}, written::Style{.chunk = {777, 2}, .shuffle = true, .deflate = 1}}) {
    std::vector<Expected> expected, windowed;
    for (int64_t f = 0; f < 2; ++f) {
      written::DataFile file(folder / (std::to_string(f) + ".h5"));
      write_rows(file, {static_cast<hsize_t>(offsets.back() + 5), channels}, f, style);
      file.add("o", H5T_STD_I32LE, H5T_NATIVE_LLONG, {offsets.size()}, offsets.data(),
               {.chunk = {1000}});
      for (size_t i = 0; i + 1 < offsets.size(); ++i) {
        expected.push_back({f, {offsets[i], offsets[i + 1] - offsets[i]}});
        append(windowed, windows(f, offsets[i], offsets[i + 1], 16, 7));
      }
    }
    const Dataset extents = open({folder / "*.h5"}, {.offsets = "o", .length = 40});
    CHECK(extents.blocks() > 4);
    check_samples(extents, expected);
    check_samples(extents, expected, {.buffer = 1 << 20, .workers = 2});
    check_samples(open({folder / "*.h5"}, {.offsets = "o", .length = 16, .hop = 7}), windowed);
  }
}

TEST_CASE("samples along two axes, and samples that are files") {
  const TemporaryFolder folder;
  std::vector<Expected> steps, files;
  for (int64_t f = 0; f < 3; ++f) {
    written::DataFile file(folder / (std::to_string(f) + ".h5"));
    write_rows(file, {7, 11, channels}, f,
               f == 1 ? written::Style{.chunk = {2, 4, 2}} : written::Style{});
    for (int64_t row = 0; row < 77; ++row) steps.push_back({f, {row, 1}});
  }
  check_samples(open({folder / "*.h5"}, {.leading = 2}), steps);
  const TemporaryFolder other;
  for (int64_t f = 0; f < 3; ++f) {
    written::DataFile file(other / (std::to_string(f) + ".h5"));
    write_rows(file, {static_cast<hsize_t>(5 + 3 * f), channels}, f);
    files.push_back({f, {0, 5 + 3 * f}});
  }
  check_samples(open({other / "*.h5"}, {.leading = 0, .length = 8}), files);
  CHECK_THROWS_WITH(open({other / "*.h5"}, {.leading = 0}), Contains("must agree"));
}

TEST_CASE("a column has a row for each sample or for each series") {
  const TemporaryFolder folder;
  const auto labels = [&](const SampleLayout& layout) {
    const Dataset dataset = open({folder / "a.h5"}, layout, true);
    std::vector<int64_t> all;
    BlockReader reader(dataset);
    for (int64_t b = 0; b < dataset.blocks(); ++b) {
      const BlockRows rows = reader.read(b);
      for (int64_t i = 0; i < dataset.block(b).samples; ++i)
        all.push_back(*static_cast<const int64_t*>(rows.extent(1, i).data));
    }
    return all;
  };
  const auto write = [&](const std::vector<hsize_t>& x, const std::vector<hsize_t>& y) {
    written::DataFile file(folder / "a.h5");
    write_rows(file, x, 0);
    const std::vector<int64_t> values = {10, 11, 12, 13, 14, 15};
    file.add("y", H5T_STD_I64LE, H5T_NATIVE_LLONG, y, values.data());
    const std::vector<int64_t> offsets = {0, 3, 3, 8};
    file.add("o", H5T_STD_I64LE, H5T_NATIVE_LLONG, {4}, offsets.data());
  };
  using Labels = std::vector<int64_t>;
  write({3, 2, channels}, {3});
  CHECK(labels({.leading = 2}) == Labels{10, 10, 11, 11, 12, 12});
  write({3, 2, channels}, {3, 2});
  CHECK(labels({.leading = 2}) == Labels{10, 11, 12, 13, 14, 15});
  write({3, 2, channels}, {2, 3});
  CHECK_THROWS_WITH(labels({.leading = 2}), Contains("the first 2 axes of both must agree"));
  write({3, 5, channels}, {3});
  CHECK(labels({.length = 3, .hop = 2}) == Labels{10, 10, 11, 11, 12, 12});
  write({8, channels}, {3});
  CHECK(labels({.offsets = "o", .length = 3}) == Labels{10, 11, 12});
  CHECK(labels({.offsets = "o", .length = 3, .hop = 1}) == Labels{10, 12, 12, 12});
  CHECK_THROWS_WITH(labels({.offsets = "o", .length = 3, .hop = 2}),
                    Contains("as many rows as there are samples and as there are series"));
  write({5, channels}, {1});
  CHECK(labels({.leading = 0, .length = 3, .hop = 1}) == Labels{10, 10, 10});
  write({5, channels}, {4});
  CHECK_THROWS_WITH(labels({.leading = 0, .length = 3, .hop = 1}),
                    Contains("has 4 rows, but /x has 3 samples in 1 series"));
}

TEST_CASE("offsets that fall or lie outside are refused") {
  const TemporaryFolder folder;
  const auto write = [&](std::vector<int64_t> offsets, hid_t type = H5T_STD_I64LE) {
    written::DataFile file(folder / "a.h5");
    write_rows(file, {8, channels}, 0);
    file.add("o", type, H5T_NATIVE_LLONG, {offsets.size()}, offsets.data());
  };
  const SampleLayout extents{.offsets = "o", .length = 4};
  const SampleLayout windows{.offsets = "o", .length = 2, .hop = 1};
  write({0, 5, 3, 8});
  const Dataset dataset = open({folder / "a.h5"}, extents);
  CHECK_THROWS_WITH(BlockReader(dataset).read(0), Contains("has 5 before 3 at 1"));
  CHECK_THROWS_WITH(open({folder / "a.h5"}, windows), Contains("has 5 before 3 at 1"));
  write({0, 5, 9});
  CHECK_THROWS_WITH(open({folder / "a.h5"}, extents), Contains("begins with 0 and ends with 9"));
  write({0, 5, 8}, H5T_IEEE_F64LE);
  CHECK_THROWS_WITH(open({folder / "a.h5"}, extents), Contains("must name whole numbers"));
}

TEST_CASE("statistics count each row that is in a sample once, in however many blocks it is") {
  const TemporaryFolder folder;
  const std::unique_ptr<Communicator> alone = self_communicator();
  const int64_t rows = 1'000'000;
  {
    written::DataFile file(folder / "a.h5");
    write_rows(file, {static_cast<hsize_t>(rows), channels}, 0);
  }
  for (const auto& [length, hop] :
       std::vector<std::pair<int64_t, int64_t>>{{100'000, 9'000}, {10, 20}, {10, 10}}) {
    const Dataset dataset = open({folder / "a.h5"}, {.leading = 0, .length = length, .hop = hop});
    CHECK(dataset.blocks() > 1);
    const Interpretation values(dataset.sample_field(), Channels::last);
    const ChannelStatistics found = channel_statistics(dataset, 0, values, {}, *alone);
    double sum = 0, square = 0, n = 0;
    int64_t done = 0;
    for (int64_t first = 0; first + length <= rows; first += hop) {
      for (int64_t row = std::max(first, done); row < first + length; ++row, ++n) {
        sum += value_of(0, row, 1);
        square += static_cast<double>(value_of(0, row, 1)) * value_of(0, row, 1);
      }
      done = first + length;
    }
    CHECK(found.mean[1] == Approx(sum / n).epsilon(1e-12));
    CHECK(found.std[1] == Approx(std::sqrt(square / n - sum / n * sum / n)).epsilon(1e-9));
  }
}

TEST_CASE("a NaN between windows is nobody's, one inside is told") {
  const TemporaryFolder folder;
  const auto read = [&](size_t bad) {
    std::vector<float> values(60, 1.f);
    values[bad] = std::numeric_limits<float>::quiet_NaN();
    written::DataFile(folder / "a.h5")
        .add("x", H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, {60}, values.data());
    BlockReader(open({folder / "a.h5"}, {.leading = 0, .length = 10, .hop = 20})).read(0);
  };
  read(15);
  read(59);
  CHECK_THROWS_WITH(read(24), Contains("holds a NaN or infinity in row 24"));
}

TEST_CASE("columns of other axes in other files, and data without a position, are refused") {
  const TemporaryFolder folder;
  const std::vector<int64_t> labels(15);
  for (const bool flat : {true, false}) {
    written::DataFile file(folder / (flat ? "a.h5" : "b.h5"));
    write_rows(file, {3, 5, channels}, 0);
    const std::vector<hsize_t> shape = flat ? std::vector<hsize_t>{3} : std::vector<hsize_t>{3, 5};
    file.add("y", H5T_STD_I64LE, H5T_NATIVE_LLONG, shape, labels.data());
  }
  CHECK_THROWS_WITH(open({folder / "*.h5"}, {.leading = 2}, true),
                    Contains("the same number of axes must count samples"));
  {
    written::DataFile file(folder / "c.h5");
    write_rows(file, {8, channels}, 0);
    const std::vector<int64_t> offsets = {3, 3, 3};
    file.add("o", H5T_STD_I64LE, H5T_NATIVE_LLONG, {3}, offsets.data());
  }
  CHECK_THROWS_WITH(open({folder / "c.h5"}, {.offsets = "o", .length = 4}),
                    Contains("all samples of /x are empty"));
}

TEST_CASE("statistics count each row of a block once") {
  const TemporaryFolder folder;
  const std::unique_ptr<Communicator> alone = self_communicator();
  const std::vector<int64_t> offsets = some_offsets(500);
  {
    written::DataFile file(folder / "a.h5");
    write_rows(file, {static_cast<hsize_t>(offsets.back() + 50), channels}, 0);
    file.add("o", H5T_STD_I64LE, H5T_NATIVE_LLONG, {offsets.size()}, offsets.data());
  }
  const Dataset dataset = open({folder / "a.h5"}, {.offsets = "o", .length = 16});
  const Interpretation values(dataset.sample_field(), Channels::last);
  const ChannelStatistics found = channel_statistics(dataset, 0, values, {}, *alone);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, square = 0;
    for (int64_t row = offsets.front(); row < offsets.back(); ++row) {
      sum += value_of(0, row, c);
      square += static_cast<double>(value_of(0, row, c)) * value_of(0, row, c);
    }
    const auto n = static_cast<double>(offsets.back() - offsets.front());
    const auto k = static_cast<size_t>(c);
    CHECK(found.mean[k] == Approx(sum / n).epsilon(1e-12));
    CHECK(found.std[k] == Approx(std::sqrt(square / n - sum / n * sum / n)).epsilon(1e-9));
  }
}
