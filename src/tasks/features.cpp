#include "tasks/features.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/random.h"

namespace lacuna {

Features select_rows(const Features& all, const std::vector<int64_t>& rows) {
  const int64_t d = all.dimension();
  Features chosen{HostTensor(DType::f32, {static_cast<int64_t>(rows.size()), d}), {}};
  const auto from = all.values.as<float>();
  const auto to = chosen.values.as<float>();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(&to[i * static_cast<size_t>(d)], &from[static_cast<size_t>(rows[i] * d)],
                static_cast<size_t>(d) * sizeof(float));
    chosen.labels.push_back(all.labels[static_cast<size_t>(rows[i])]);
  }
  return chosen;
}

Standardisation standardisation(const Features& features) {
  const auto d = static_cast<size_t>(features.dimension());
  const auto n = static_cast<size_t>(features.count());
  const auto x = features.values.as<float>();
  Standardisation result{std::vector<double>(d), std::vector<double>(d)};
  auto& [mean, deviation] = result;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < d; ++j) mean[j] += static_cast<double>(x[i * d + j]);
  }
  for (double& m : mean) m /= static_cast<double>(n);
  // About the mean, not as a difference of squares: a constant dimension must have next to none.
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < d; ++j) {
      const double away = static_cast<double>(x[i * d + j]) - mean[j];
      deviation[j] += away * away;
    }
  }
  for (double& v : deviation) v = std::sqrt(v / static_cast<double>(n));
  return result;
}

void standardise(Features& features, const Standardisation& by) {
  const auto d = static_cast<size_t>(features.dimension());
  const auto n = static_cast<size_t>(features.count());
  const auto x = features.values.as<float>();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < d; ++j) {
      const double deviation = by.deviation[j];
      const double v = static_cast<double>(x[i * d + j]) - by.mean[j];
      x[i * d + j] = deviation > 1e-12 ? static_cast<float>(v / deviation) : 0.0f;
    }
  }
}

int64_t class_count(const std::vector<int64_t>& labels) {
  return labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
}

double accuracy(const std::vector<int64_t>& predicted, const std::vector<int64_t>& labels) {
  LACUNA_CHECK(predicted.size() == labels.size() && !labels.empty());
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += predicted[i] == labels[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

namespace {

// Of each class the first `fraction` in an order drawn from the seed; at least one of each.
std::vector<int64_t> stratified(const std::vector<int64_t>& rows,
                                const std::vector<int64_t>& labels, double fraction,
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
    const size_t count = std::min(members.size(), std::max<size_t>(1, wanted));
    for (size_t i = 0; i < count; ++i) chosen.push_back(members[i].second);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

std::vector<int64_t> label_subset(const std::vector<int64_t>& labels, double fraction,
                                  uint64_t seed, uint64_t draw) {
  std::vector<int64_t> all;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0) all.push_back(static_cast<int64_t>(i));
  }
  if (fraction >= 1) return all;
  return stratified(all, labels, fraction, Draws(seed, Purpose::label_subset, draw));
}

Split hold_out_fifth(const std::vector<int64_t>& rows, const std::vector<int64_t>& labels,
                     uint64_t seed) {
  Split split;
  split.held_out =
      stratified(rows, labels, 0.2, Draws(seed, Purpose::label_subset, uint64_t{1} << 32));
  std::set_difference(rows.begin(), rows.end(), split.held_out.begin(), split.held_out.end(),
                      std::back_inserter(split.train));
  return split;
}

}  // namespace lacuna
