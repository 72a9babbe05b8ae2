#include "tasks/held_out.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

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

TEST_CASE("held out: a subset of labels has its share of every class, at least one of each") {
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

TEST_CASE("held out: the fifth and the rest are the whole, and share nothing") {
  const std::vector<int64_t> labels = clusters(500, 1, 5, 1, 1).targets.classes;
  const auto rows = label_subset(labels, 0.5, 1, 0);
  const Split split = hold_out_fifth(rows, labels, {}, 1);
  std::vector<int64_t> both;
  std::merge(split.train.begin(), split.train.end(), split.held_out.begin(), split.held_out.end(),
             std::back_inserter(both));
  CHECK(both == rows);
  CHECK(count_of_each(split.held_out, labels) ==
        std::map<int64_t, int64_t>{{0, 10}, {1, 10}, {2, 10}, {3, 10}, {4, 10}});
  CHECK(hold_out_fifth(rows, labels, {}, 2).held_out != split.held_out);
}

TEST_CASE("held out: a class keeps a sample to be trained on, however few it has") {
  const std::vector<int64_t> labels = {0, 1, 2, 1, 0, 0, 3, 0, 0, 0};
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const Split split = hold_out_fifth({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, labels, {}, seed);
    CHECK(count_of_each(split.held_out, labels) == std::map<int64_t, int64_t>{{0, 1}, {1, 1}});
    CHECK(count_of_each(split.train, labels).size() == 4);
    const Split single = hold_out_fifth({0, 1, 2, 6}, labels, {}, seed);
    CHECK(single.held_out.empty());
    CHECK(single.train == std::vector<int64_t>{0, 1, 2, 6});
  }
}

namespace {

std::vector<int64_t> merged(const Split& split) {
  std::vector<int64_t> both;
  std::merge(split.train.begin(), split.train.end(), split.held_out.begin(), split.held_out.end(),
             std::back_inserter(both));
  return both;
}

std::vector<int64_t> counting(int64_t from, int64_t to) {
  std::vector<int64_t> all;
  for (int64_t i = from; i < to; ++i) all.push_back(i);
  return all;
}

}  // namespace

TEST_CASE("held out: no group is on both sides, and about a fifth of the samples is held out") {
  HoldOut how{.by = HoldOut::By::group, .group = {}, .time = {}};
  for (int64_t i = 0; i < 300; ++i) how.group.push_back(i * i % 37);  // of unequal sizes
  const std::vector<int64_t> rows = counting(20, 300), strata(300, 0);
  std::set<std::vector<int64_t>> found;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const Split split = hold_out_fifth(rows, strata, how, seed);
    CHECK(merged(split) == rows);
    std::set<int64_t> held_out, train;
    for (const int64_t row : split.held_out) held_out.insert(how.group[static_cast<size_t>(row)]);
    for (const int64_t row : split.train) train.insert(how.group[static_cast<size_t>(row)]);
    for (const int64_t group : held_out) CHECK(train.count(group) == 0);
    CHECK(split.held_out.size() <= 56);
    CHECK(split.held_out.size() >= 40);
    found.insert(split.held_out);
  }
  CHECK(found.size() > 4);  // the seed chooses
  // A group of nearly all is never held out where a smaller one can be.
  for (int64_t i = 0; i < 300; ++i) how.group[static_cast<size_t>(i)] = i < 210 ? 5 : 9;
  CHECK(hold_out_fifth(rows, strata, how, 1).held_out == counting(210, 300));
  how.group.assign(300, 5);
  CHECK_THROWS_WITH(hold_out_fifth(rows, strata, how, 1),
                    Catch::Contains("of one group of task.group"));
}

TEST_CASE("held out: by time the last fifth is, in the order of the samples or of a column") {
  HoldOut how{.by = HoldOut::By::time, .group = {}, .time = {}};
  const std::vector<int64_t> strata(100, 0);
  CHECK(hold_out_fifth(counting(0, 100), strata, how, 1).held_out == counting(80, 100));
  CHECK(hold_out_fifth(counting(10, 20), strata, how, 2).held_out == counting(18, 20));
  for (int64_t i = 0; i < 100; ++i) how.time.push_back(static_cast<double>(-i));
  const Split split = hold_out_fifth(counting(10, 60), strata, how, 1);
  CHECK(split.held_out == counting(10, 20));
  CHECK(merged(split) == counting(10, 60));
  CHECK(select_rows(how, {7, 3}).time == std::vector<double>{-7, -3});
  CHECK_THROWS_WITH(hold_out_fifth({4}, strata, how, 1), Catch::Contains("raise task.labels"));
}
