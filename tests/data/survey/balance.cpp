#include "data/survey/balance.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "data/options.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Matchers::Contains;

TEST_CASE("balance is told by the smallest and largest group and by entropy") {
  const std::vector<int64_t> even = {0, 1, 2, 3, 3, 2, 1, 0};
  const Balance balance = balance_of(even);
  CHECK(balance.counts.size() == 4);
  CHECK(balance.fewest == 2);
  CHECK(balance.most == 2);
  CHECK(balance.effective == Approx(4));
  std::vector<int64_t> uneven(90, 7);
  uneven.insert(uneven.end(), 10, -1);
  const Balance other = balance_of(uneven);
  CHECK(other.fewest == 10);
  CHECK(other.most == 90);
  CHECK(other.effective == Approx(std::pow(0.9, -0.9) * std::pow(0.1, -0.1)));
}

TEST_CASE("labels are read from all files, or in runs where they are many") {
  const TemporaryFolder folder;
  std::vector<float> labels(1000);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<float>(i / 100);
  labels[3] = std::numeric_limits<float>::quiet_NaN();
  labels[4] = 0.5f;
  for (const char* name : {"a.h5", "b.h5"}) {
    written::DataFile file(folder / name);
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {1000, 2}, nullptr);
    file.add("y", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {1000}, labels.data());
  }
  const auto alone = self_communicator();
  const Dataset dataset({folder / "*.h5"}, {{sample_field, "x"}, {label_field, "y"}}, *alone);
  const LabelScan all = scan_labels(dataset);
  CHECK(all.all);
  CHECK(all.labels.size() == 2000);
  CHECK(all.labels[1999] == 9);
  CHECK(all.labels[1000] == 0);
  CHECK(all.broken == 4);
  const LabelScan some = scan_labels(dataset, 640);
  CHECK_FALSE(some.all);
  CHECK(some.labels.size() == 640);
  CHECK(balance_of(some.labels).effective == Approx(10).epsilon(0.02));
  CHECK(file_of_samples(dataset)[999] == 0);
  CHECK(file_of_samples(dataset)[1000] == 1);
}

TEST_CASE("labels of more than one number are refused by a scan") {
  const TemporaryFolder folder;
  {
    written::DataFile file(folder / "a.h5");
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {10, 2}, nullptr);
    file.add("y", H5T_STD_U8LE, H5T_NATIVE_UINT8, {10, 3}, nullptr);
  }
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{sample_field, "x"}, {label_field, "y"}}, *alone);
  CHECK_THROWS_WITH(scan_labels(dataset), Contains("/y have the shape [3]"));
}

TEST_CASE("mixing tells sorted data that few lanes read from data in random order") {
  constexpr int64_t samples = 8000, block = 100, classes = 10;
  OrderSpec order;
  order.block_samples.assign(samples / block, block);
  std::vector<int64_t> sorted, scattered;
  for (int64_t s = 0; s < samples; ++s) {
    sorted.push_back(s / (samples / classes));
    scattered.push_back(s * 7919 % samples / (samples / classes));
  }
  const auto mixed = [&](int64_t lanes, const std::vector<int64_t>& groups) {
    order.lanes = lanes;
    return mixing(order, 64, groups);
  };
  CHECK(mixed(1, sorted) < 0.2);  // of one class, most of them
  CHECK(mixed(2, sorted) < 0.35);
  CHECK(mixed(40, sorted) > 0.9);
  CHECK(mixed(1, scattered) > 0.95);
}
