#include "tasks/held_out.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "tasks/features.h"

namespace lacuna {

namespace {

constexpr uint64_t hold_out_subject = uint64_t{1} << 32;  // beyond the numbers of draws

Draws draws_of(uint64_t seed) { return {seed, Purpose::label_subset, hold_out_subject}; }

size_t fifth_of(size_t count) {
  return std::max<size_t>(1, static_cast<size_t>(std::llround(0.2 * static_cast<double>(count))));
}

// Of each class the first `fraction` in an order drawn from the seed; at least one of each, but
// `left` of each stay unchosen.
std::vector<int64_t> stratified(const std::vector<int64_t>& rows,
                                const std::vector<int64_t>& labels, double fraction, size_t left,
                                const Draws& draws) {
  std::vector<std::vector<std::pair<double, int64_t>>> by_class(
      static_cast<size_t>(class_count(labels)));
  for (const int64_t row : rows) {
    by_class[static_cast<size_t>(labels[static_cast<size_t>(row)])].emplace_back(
        draws.uniform(static_cast<uint32_t>(row)), row);
  }
  std::vector<int64_t> chosen;
  for (auto& members : by_class) {
    std::sort(members.begin(), members.end());
    const auto wanted =
        static_cast<size_t>(std::llround(fraction * static_cast<double>(members.size())));
    const size_t most = members.size() - std::min(left, members.size());
    const size_t count = std::min(most, std::max<size_t>(1, wanted));
    for (size_t i = 0; i < count; ++i) chosen.push_back(members[i].second);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// In an order drawn from the seed, each group that leaves the held-out ones within a fifth; the
// smallest where none does.
std::vector<int64_t> whole_groups(const std::vector<int64_t>& rows,
                                  const std::vector<int64_t>& group, const Draws& draws) {
  std::map<int64_t, std::vector<int64_t>> members;
  for (const int64_t row : rows) members[group[static_cast<size_t>(row)]].push_back(row);
  if (members.size() < 2)
    bad_input("the ", rows.size(),
              " labelled samples of a draw are of one group of task.group, so "
              "that none can be held out: raise task.labels, or set task.held_out to \"class\"");
  std::vector<std::pair<double, const std::vector<int64_t>*>> order;
  const std::vector<int64_t>* smallest = nullptr;
  for (const auto& [number, of_group] : members) {
    order.emplace_back(draws.uniform(static_cast<uint32_t>(number)), &of_group);
    if (smallest == nullptr || of_group.size() < smallest->size()) smallest = &of_group;
  }
  std::sort(order.begin(), order.end());
  std::vector<int64_t> chosen;
  const size_t most = fifth_of(rows.size());
  for (const auto& [place, of_group] : order) {
    if (chosen.size() + of_group->size() <= most)
      chosen.insert(chosen.end(), of_group->begin(), of_group->end());
  }
  if (chosen.empty()) chosen = *smallest;
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<int64_t> last_fifth(const std::vector<int64_t>& rows, const std::vector<double>& time) {
  if (rows.size() < 2)
    bad_input("a draw has one labelled sample, so that none can be held out: raise task.labels");
  std::vector<int64_t> order = rows;
  const auto earlier = [&](int64_t a, int64_t b) {
    return time[static_cast<size_t>(a)] < time[static_cast<size_t>(b)];
  };
  if (!time.empty()) std::stable_sort(order.begin(), order.end(), earlier);
  std::vector<int64_t> chosen(order.end() - static_cast<std::ptrdiff_t>(fifth_of(rows.size())),
                              order.end());
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<int64_t> held_out_of(const std::vector<int64_t>& rows,
                                 const std::vector<int64_t>& strata, const HoldOut& how,
                                 uint64_t seed) {
  switch (how.by) {
    case HoldOut::By::group:
      return whole_groups(rows, how.group, draws_of(seed));
    case HoldOut::By::time:
      return last_fifth(rows, how.time);
    default:
      return stratified(rows, strata, 0.2, 1, draws_of(seed));
  }
}

}  // namespace

std::vector<int64_t> strata(const Targets& targets) {
  if (targets.type == TargetType::classes) return targets.classes;
  std::vector<int64_t> known;
  for (int64_t sample = 0; sample < targets.count(); ++sample)
    known.push_back(targets.known(sample) ? 0 : -1);
  return known;
}

std::vector<int64_t> label_subset(const std::vector<int64_t>& labels, double fraction,
                                  uint64_t seed, uint64_t draw) {
  std::vector<int64_t> all;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0) all.push_back(static_cast<int64_t>(i));
  }
  if (fraction >= 1) return all;
  return stratified(all, labels, fraction, 0, Draws(seed, Purpose::label_subset, draw));
}

HoldOut select_rows(const HoldOut& all, const std::vector<int64_t>& rows) {
  HoldOut chosen{.by = all.by, .group = {}, .time = {}};
  for (const int64_t row : rows) {
    const auto at = static_cast<size_t>(row);
    if (!all.group.empty()) chosen.group.push_back(all.group[at]);
    if (!all.time.empty()) chosen.time.push_back(all.time[at]);
  }
  return chosen;
}

Split hold_out_fifth(const std::vector<int64_t>& rows, const std::vector<int64_t>& strata,
                     const HoldOut& how, uint64_t seed) {
  Split split;
  split.held_out = held_out_of(rows, strata, how, seed);
  std::set_difference(rows.begin(), rows.end(), split.held_out.begin(), split.held_out.end(),
                      std::back_inserter(split.train));
  return split;
}

}  // namespace lacuna
