// Range and statistics against closed forms and sums made by the test.
#include "data/values/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "config/configuration.h"
#include "data/options.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"
#include "support/thread_communicators.h"

using namespace lacuna;
using Catch::Contains;

namespace {

// 40 samples [3, 4, 2]; channel 0 holds 0 .. 479 in a stride, channel 1 is always 100.
std::vector<int32_t> two_channels() {
  std::vector<int32_t> values;
  for (int i = 0; i < 480; ++i) {
    values.push_back(i * 7 % 480);
    values.push_back(100);
  }
  return values;
}

void write_two_channels(const std::string& path) {
  written::DataFile(path).add("a/x", H5T_STD_U16LE, H5T_NATIVE_INT, {40, 3, 4, 2},
                              two_channels().data(), {.chunk = {7, 3, 4, 2}, .deflate = 1});
}

}  // namespace

TEST_CASE("statistics of channels are mean and standard deviation of the mapped values") {
  const TemporaryFolder folder;
  write_two_channels(folder / "a.h5");
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{"sample", "/a/x"}}, *alone);
  const Interpretation interpretation(dataset.fields()[0], Channels::last, 0, 1000);
  const ChannelStatistics found = channel_statistics(dataset, 0, interpretation, {}, *alone);
  // 0 .. n-1, each once: mean (n - 1) / 2, variance (n^2 - 1) / 12.
  CHECK(found.mean[0] == Approx(0.2395).epsilon(1e-6));
  CHECK(found.std[0] == Approx(std::sqrt((480.0 * 480 - 1) / 12) / 1000).epsilon(1e-6));
  CHECK(found.mean[1] == Approx(0.1).epsilon(1e-6));
  CHECK(found.std[1] == 1.0);
  CHECK(found.samples == 40);
}

TEST_CASE("statistics and range are bit for bit the same on any number of ranks and threads") {
  const TemporaryFolder folder;
  write_two_channels(folder / "a.h5");
  write_two_channels(folder / "b.h5");
  std::vector<double> first;
  for (const int ranks : {1, 2, 3, 5}) {
    for (const int threads : {1, 2}) {
      on_ranks(ranks, [&](Communicator& communicator) {
        const Dataset dataset({folder / "*.h5"}, {{"sample", "a/x"}}, communicator);
        ScanOptions scan;
        scan.threads = threads;
        scan.seed = 4;
        scan.most_bytes = dataset.bytes() / 2;  // a sample of the blocks
        const Interpretation interpretation(dataset.fields()[0], Channels::last, 0, 1000);
        const ChannelStatistics found =
            channel_statistics(dataset, 0, interpretation, scan, communicator);
        const Range range = percentile_range(dataset, 0, {5, 95}, scan, communicator);
        const std::vector<double> all = {found.mean[0], found.std[0],
                                         static_cast<double>(found.samples), range.low, range.high};
        if (communicator.rank() != 0) return;
        if (first.empty()) first = all;
        CHECK(all == first);
        CHECK(found.samples < 80);
      });
    }
  }
}

TEST_CASE("range from percentiles spans the values asked for") {
  const TemporaryFolder folder;
  std::vector<double> values;
  for (int i = 0; i < 1001; ++i) values.push_back(i * 389 % 1001 - 500);
  written::DataFile(folder / "a.h5")
      .add("x", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, {1001}, values.data());
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{"sample", "x"}}, *alone);
  const Range all = percentile_range(dataset, 0, {0, 100}, {}, *alone);
  CHECK(all.low == -500);
  CHECK(all.high == 500);
  const Range most = percentile_range(dataset, 0, {10, 90}, {}, *alone);
  CHECK(most.low == Approx(-400).margin(2));
  CHECK(most.high == Approx(400).margin(2));

  std::fill(values.begin(), values.end(), 3.0);
  written::DataFile(folder / "b.h5")
      .add("x", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, {1001}, values.data());
  const Dataset constant({folder / "b.h5"}, {{"sample", "x"}}, *alone);
  CHECK_THROWS_WITH(percentile_range(constant, 0, {0, 100}, {}, *alone),
                    Contains("are both 3") && Contains("data.range"));
}

TEST_CASE("interpretation delivers channels last and values in the range") {
  Field field{"sample", "x", DType::i16, {2, 1, 3}};
  const std::vector<int16_t> stored = {0, 10, 20, 30, 40, 50};
  std::vector<float> floats(6);
  const Interpretation first(field, Channels::first, 10, 50);
  CHECK(first.shape() == Shape{1, 3, 2});
  first.floats(stored.data(), floats.data());
  CHECK(floats == std::vector<float>{0, 0.5f, 0, 0.75f, 0.25f, 1});
  const Interpretation last(field, Channels::last, 10, 50);
  CHECK(last.shape() == Shape{2, 1, 3});
  const Interpretation none(field, Channels::none, 10, 50);
  CHECK(none.shape() == Shape{2, 1, 3, 1});
  none.floats(stored.data(), floats.data());
  CHECK(floats == std::vector<float>{0, 0, 0.25f, 0.5f, 0.75f, 1});
}

TEST_CASE("every rank learns what is wrong with the data") {
  const TemporaryFolder folder;
  write_two_channels(folder / "a.h5");
  std::vector<std::string> sentences(3);
  on_ranks(3, [&](Communicator& communicator) {
    try {
      Dataset({folder / "a.h5"}, {{"sample", "a/y"}}, communicator);
    } catch (const Error& error) {
      sentences[static_cast<size_t>(communicator.rank())] = error.what();
    }
  });
  for (const std::string& sentence : sentences) {
    CHECK_THAT(sentence, Contains("there is no dataset /a/y") && Contains("/a/x [40, 3, 4, 2]"));
  }
}
