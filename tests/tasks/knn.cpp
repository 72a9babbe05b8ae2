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
    votes[train.targets.classes[static_cast<size_t>(all[i].second)]] +=
        std::exp(-all[i].first / 0.07);
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
    Neighbours neighbours(unit_rows(train.values, *device), train.targets.classes, 5, k, *device);
    const std::vector<HostTensor> votes = neighbours.outputs(queries.values);
    REQUIRE(votes.size() == k.size());
    std::vector<std::vector<int64_t>> predicted;
    for (const HostTensor& each : votes) predicted.push_back(classes_of_logits(each).classes);
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

TEST_CASE("knn: what is kept votes as what was fitted, and its probabilities are shares") {
  const Features train = clusters(200, 4, 5, 1.0, 3);
  const Features queries = clusters(50, 4, 5, 1.0, 4);
  const auto device = make_device("cpu", 1);
  const Configuration configuration = task_configuration("knn");
  const auto task =
      make_knn({.configuration = configuration, .targets = &train.targets, .outputs = 5});
  const std::vector<double> k = {7};
  const auto communicator = self_communicator();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 150; ++i) rows.push_back(i);
  const auto fitted = task->fit(train, rows, k, *device, *communicator);
  const HostTensor votes = std::move(fitted->outputs(queries.values)[0]);
  const auto restored = task->restored(fitted->tensors(), *device);
  CHECK(doubles_of(restored->outputs(queries.values)[0]) == doubles_of(votes));
  const Predicted predicted = task->predicted(votes);
  for (size_t row = 0; row < 50; ++row) {
    double sum = 0;
    for (size_t c = 0; c < 5; ++c) sum += std::exp(predicted.numbers[5 * row + c]);
    CHECK(sum == Approx(1).epsilon(1e-12));
  }
  NamedTensors damaged = fitted->tensors();
  damaged.erase("k");
  CHECK_THROWS_WITH(task->restored(damaged, *device), Catch::Contains("does not hold \"k\""));
}
