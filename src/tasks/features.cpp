#include "tasks/features.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lacuna {

HostTensor select_rows(const HostTensor& all, const std::vector<int64_t>& rows) {
  const int64_t d = all.shape()[1];
  HostTensor chosen(DType::f32, {static_cast<int64_t>(rows.size()), d});
  const auto from = all.as<float>();
  const auto to = chosen.as<float>();
  for (size_t i = 0; i < rows.size(); ++i)
    std::memcpy(to.data() + i * static_cast<size_t>(d),
                from.data() + static_cast<size_t>(rows[i] * d),
                static_cast<size_t>(d) * sizeof(float));
  return chosen;
}

Features select_rows(const Features& all, const std::vector<int64_t>& rows) {
  return {select_rows(all.values, rows), select_rows(all.targets, rows)};
}

Standardisation standardisation(const HostTensor& features) {
  const auto n = static_cast<size_t>(features.shape()[0]);
  const auto d = static_cast<size_t>(features.shape()[1]);
  const auto x = features.as<float>();
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

void standardise(HostTensor& features, const Standardisation& by) {
  const auto n = static_cast<size_t>(features.shape()[0]);
  const auto d = static_cast<size_t>(features.shape()[1]);
  const auto x = features.as<float>();
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

}  // namespace lacuna
