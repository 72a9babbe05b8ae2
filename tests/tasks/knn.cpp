#include "tasks/knn.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>

#include "backend/list.h"
#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

double cosine(const Features& a, int64_t i, const Features& b, int64_t j) {
  const auto d = static_cast<size_t>(a.dimension());
  double ab = 0, aa = 0, bb = 0;
  for (size_t k = 0; k < d; ++k) {
    const double u = a.values.as<float>()[static_cast<size_t>(i) * d + k];
    const double v = b.values.as<float>()[static_cast<size_t>(j) * d + k];
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return ab / std::sqrt(aa * bb);
}

// Wu et al. 2018, equation 7, word by word.
int64_t vote(const Features& train, const Features& queries, int64_t row, size_t k) {
  std::vector<std::pair<double, int64_t>> all;
  for (int64_t i = 0; i < train.count(); ++i) all.emplace_back(-cosine(queries, row, train, i), i);
  std::sort(all.begin(), all.end());
  std::map<int64_t, double> votes;
  for (size_t i = 0; i < std::min(k, all.size()); ++i) {
    votes[train.labels[static_cast<size_t>(all[i].second)]] += std::exp(-all[i].first / 0.07);
  }
  return std::max_element(votes.begin(), votes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

TEST_CASE("weighted nearest neighbours vote as their equation says") {
  const Features train = clusters(400, 6, 5, 1.2, 1);
  const Features queries = clusters(300, 6, 5, 1.2, 2);  // more than a block of rows
  const std::vector<int64_t> k = {1, 7, 50, 1000};       // more than there are: all vote
  for (const char* name : {"reference", "cpu"}) {
    const auto device = make_device(name, 2);
    const auto communicator = self_communicator();
    const auto predicted = knn_predict(train, queries, k, *device, *communicator);
    REQUIRE(predicted.size() == k.size());
    for (size_t i = 0; i < k.size(); ++i) {
      std::vector<int64_t> expected;
      for (int64_t row = 0; row < queries.count(); ++row)
        expected.push_back(vote(train, queries, row, static_cast<size_t>(k[i])));
      INFO(name << ", k = " << k[i]);
      CHECK(predicted[i] == expected);
    }
    CHECK(predicted[0] != predicted[2]);
  }
}

TEST_CASE("k is chosen on held-out training labels, never on the test's") {
  const Features train = clusters(500, 4, 5, 1.0, 3);
  Features test = clusters(200, 4, 5, 1.0, 4);
  const auto device = make_device("cpu", 1);
  const auto communicator = self_communicator();
  const std::vector<int64_t> candidates = {1, 5, 100};
  const KnnResult honest = knn(train, test, candidates, 1, *device, *communicator);
  CHECK(honest.test_accuracy > 0.5);
  for (int64_t& label : test.labels) label = (label + 1) % 5;
  const KnnResult shifted = knn(train, test, candidates, 1, *device, *communicator);
  CHECK(shifted.k == honest.k);
  CHECK(shifted.held_out_accuracy == honest.held_out_accuracy);
  CHECK(shifted.test_accuracy < 0.3);
}
