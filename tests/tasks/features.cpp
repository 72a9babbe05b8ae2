#include "tasks/features.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <iterator>
#include <map>

#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

std::map<int64_t, int64_t> count_of_each(const std::vector<int64_t>& rows,
                                         const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> count;
  for (const int64_t row : rows) ++count[labels[static_cast<size_t>(row)]];
  return count;
}

}  // namespace

TEST_CASE("a subset of labels has its share of every class, at least one of each") {
  std::vector<int64_t> labels;
  for (int i = 0; i < 1000; ++i) labels.push_back(i < 600 ? 0 : i < 995 ? 1 : 2);
  const auto chosen = label_subset(labels, 0.05, 1, 0);
  CHECK(std::is_sorted(chosen.begin(), chosen.end()));
  CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
  CHECK(count_of_each(chosen, labels) == std::map<int64_t, int64_t>{{0, 30}, {1, 20}, {2, 1}});
  CHECK(label_subset(labels, 0.05, 1, 0) == chosen);
  CHECK(label_subset(labels, 0.05, 1, 1) != chosen);
  CHECK(label_subset(labels, 0.05, 2, 0) != chosen);
  CHECK(label_subset(labels, 1, 1, 0).size() == labels.size());
  labels[3] = -1;  // a sample without a label
  const auto all = label_subset(labels, 1, 1, 0);
  CHECK(all.size() == labels.size() - 1);
  CHECK(std::find(all.begin(), all.end(), 3) == all.end());
}

TEST_CASE("the held-out fifth and the rest are the whole, and share nothing") {
  const std::vector<int64_t> labels = clusters(500, 1, 5, 1, 1).labels;
  const auto rows = label_subset(labels, 0.5, 1, 0);
  const Split split = hold_out_fifth(rows, labels, 1);
  std::vector<int64_t> both;
  std::merge(split.train.begin(), split.train.end(), split.held_out.begin(), split.held_out.end(),
             std::back_inserter(both));
  CHECK(both == rows);
  CHECK(count_of_each(split.held_out, labels) ==
        std::map<int64_t, int64_t>{{0, 10}, {1, 10}, {2, 10}, {3, 10}, {4, 10}});
  CHECK(hold_out_fifth(rows, labels, 2).held_out != split.held_out);
}

TEST_CASE("standardised features have mean 0 and deviation 1, constant ones become 0") {
  Features features = clusters(200, 3, 4, 2, 5);
  for (int64_t i = 0; i < 200; ++i)
    features.values.as<float>()[static_cast<size_t>(3 * i + 1)] = 0.1f;
  standardise(features, standardisation(features));
  const Standardisation after = standardisation(features);
  for (const size_t j : {size_t{0}, size_t{2}}) {
    CHECK(after.mean[j] == Approx(0).margin(1e-6));
    CHECK(after.deviation[j] == Approx(1).epsilon(1e-5));
  }
  CHECK(after.mean[1] == 0);
  CHECK(after.deviation[1] == 0);
}
