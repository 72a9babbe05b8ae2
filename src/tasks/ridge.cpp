#include "tasks/ridge.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tasks/probe_keys.h"

namespace lacuna {

namespace {

// Means over all rows of a matrix [n, width].
template <typename T>
std::vector<double> means(std::span<const T> values, size_t width) {
  std::vector<double> mean(width);
  for (size_t k = 0; k < values.size(); ++k) mean[k % width] += static_cast<double>(values[k]);
  for (double& each : mean) each *= static_cast<double>(width) / static_cast<double>(values.size());
  return mean;
}

// X^T [X Y] / N about the means, [D, D + T]: what ridge regression knows of the rows. Of the first
// D columns the upper triangle alone.
class Moments {
 public:
  Moments(const HostTensor& x, const std::vector<double>& y, size_t width,
          Communicator& communicator)
      : d_(static_cast<size_t>(x.shape()[1])),
        t_(width),
        x_mean(means(x.as<float>(), d_)),
        y_mean(means(std::span<const double>(y), t_)),
        sums_(d_ * (d_ + t_)) {
    const auto n = static_cast<size_t>(x.shape()[0]);
    const auto rank = static_cast<size_t>(communicator.rank());
    const auto ranks = static_cast<size_t>(communicator.size());
    constexpr size_t block = 64;  // rows that stay in a cache while all sums take them
    for (size_t first = n * rank / ranks; first < n * (rank + 1) / ranks; first += block)
      add(x, y, first, std::min(first + block, n * (rank + 1) / ranks));
    communicator.all_reduce_sum(sums_.data(), sums_.size(), DType::f64).wait();
    for (double& sum : sums_) sum /= static_cast<double>(n);
  }

  double at(size_t i, size_t j) const { return sums_[i * (d_ + t_) + j]; }

 private:
  void add(const HostTensor& x, const std::vector<double>& y, size_t first, size_t last) {
    const size_t width = d_ + t_, rows = last - first;
    std::vector<double> about(rows * width);
    const auto values = x.as<float>();
    for (size_t row = 0; row < rows; ++row) {
      double* const to = &about[row * width];
      for (size_t j = 0; j < d_; ++j)
        to[j] = static_cast<double>(values[(first + row) * d_ + j]) - x_mean[j];
      for (size_t j = 0; j < t_; ++j) to[d_ + j] = y[(first + row) * t_ + j] - y_mean[j];
    }
#pragma omp parallel for schedule(dynamic, 8)
    for (size_t i = 0; i < d_; ++i) {
      double* const sum = &sums_[i * width];
      for (size_t row = 0; row < rows; ++row) {
        const double* const from = &about[row * width];
        const double factor = from[i];
        for (size_t j = i; j < width; ++j) sum[j] += factor * from[j];
      }
    }
  }

  size_t d_, t_;

 public:
  std::vector<double> x_mean, y_mean;

 private:
  std::vector<double> sums_;
};

// The lower factor L of L L^T = A, in place of the lower triangle of A [d, d]. A pivot that is no
// more than rounding becomes 0, as does its column.
void factorise(std::vector<double>& a, size_t d) {
  double largest = 0;
  for (size_t i = 0; i < d; ++i) largest = std::max(largest, a[i * d + i]);
  const double least = largest * static_cast<double>(d) * 1e-15;
  for (size_t j = 0; j < d; ++j) {
    const double* const pivot_row = &a[j * d];
    const double square =
        pivot_row[j] - std::inner_product(pivot_row, pivot_row + j, pivot_row, 0.0);
    const double pivot = square > least ? std::sqrt(square) : 0;
    a[j * d + j] = pivot;
#pragma omp parallel for schedule(static) if (d - j > 256)
    for (size_t i = j + 1; i < d; ++i) {
      double* const row = &a[i * d];
      row[j] = pivot > 0 ? (row[j] - std::inner_product(row, row + j, pivot_row, 0.0)) / pivot : 0;
    }
  }
}

// The x of L L^T x = b, in place of b.
void solve(const std::vector<double>& l, size_t d, std::vector<double>& b) {
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j < i; ++j) b[i] -= l[i * d + j] * b[j];
    b[i] = l[i * d + i] > 0 ? b[i] / l[i * d + i] : 0;
  }
  for (size_t i = d; i-- > 0;) {
    for (size_t j = i + 1; j < d; ++j) b[i] -= l[j * d + i] * b[j];
    b[i] = l[i * d + i] > 0 ? b[i] / l[i * d + i] : 0;
  }
}

LinearModel solution(const Moments& moments, size_t d, size_t t, double l2) {
  std::vector<double> factor(d * d);
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) factor[i * d + j] = moments.at(j, i) + (i == j ? l2 : 0);
  }
  factorise(factor, d);
  LinearModel model{{}, moments.y_mean};
  for (size_t k = 0; k < t; ++k) {
    std::vector<double> weight(d);
    for (size_t i = 0; i < d; ++i) weight[i] = moments.at(i, d + k);
    solve(factor, d, weight);
    model.bias[k] -= std::inner_product(weight.begin(), weight.end(), moments.x_mean.begin(), 0.0);
    model.weight.insert(model.weight.end(), weight.begin(), weight.end());
  }
  return model;
}

// Linear models on standardised features.
class FittedRidge final : public FittedProbe {
 public:
  FittedRidge(Standardisation scale, std::vector<LinearModel> models)
      : scale_(std::move(scale)), models_(std::move(models)) {}

  std::vector<HostTensor> outputs(const HostTensor& x) override {
    HostTensor standard = copy_of(x);
    standardise(standard, scale_);
    const size_t d = scale_.mean.size();
    const auto n = static_cast<size_t>(x.shape()[0]);
    std::vector<HostTensor> all;
    for (const LinearModel& model : models_) {
      const size_t t = model.bias.size();
      HostTensor& values =
          all.emplace_back(DType::f64, Shape{static_cast<int64_t>(n), static_cast<int64_t>(t)});
      for (size_t i = 0; i < n; ++i) {
        const auto row = standard.as<float>().subspan(i * d, d);
        for (size_t k = 0; k < t; ++k)
          values.as<double>()[i * t + k] =
              std::inner_product(row.begin(), row.end(), &model.weight[k * d], model.bias[k]);
      }
    }
    return all;
  }

  int64_t dimension() const override { return static_cast<int64_t>(scale_.mean.size()); }

  NamedTensors tensors() const override {
    const LinearModel& only = models_.front();
    const auto d = static_cast<int64_t>(scale_.mean.size());
    const auto t = static_cast<int64_t>(only.bias.size());
    NamedTensors all;
    all["weight"] = tensor_of(only.weight, {t, d});
    all["bias"] = tensor_of(only.bias, {t});
    all["mean"] = tensor_of(scale_.mean, {d});
    all["deviation"] = tensor_of(scale_.deviation, {d});
    return all;
  }

 private:
  Standardisation scale_;
  std::vector<LinearModel> models_;
};

class Ridge final : public ProbeTask {
 public:
  explicit Ridge(const TaskParts& parts)
      : ProbeTask(parts.outputs), candidates_(parts.configuration.numbers("task.l2")) {}

  Predicted predicted(const HostTensor& outputs) const override { return values_of(outputs); }
  std::unique_ptr<Scorer> scorer() const override { return value_scorer(outputs()); }
  std::vector<PredictionColumn> columns() const override { return value_columns(outputs()); }
  std::vector<double> candidates() const override { return candidates_; }

  std::unique_ptr<FittedProbe> fit(const Features& train, const std::vector<int64_t>& rows,
                                   std::span<const double> candidates, Device&,
                                   Communicator& communicator) const override {
    Standardisation scale = standardisation(train.values);
    Features standard = select_rows(train, rows);
    standardise(standard.values, scale);
    return std::make_unique<FittedRidge>(
        std::move(scale),
        fit_ridge(standard.values, standard.targets.values, outputs(), candidates, communicator));
  }

  std::unique_ptr<FittedProbe> restored(const NamedTensors& tensors, Device&) const override {
    const auto of = [&](const char* name, int rank) {
      return doubles_of(stored_tensor(tensors, name, DType::f64, rank));
    };
    return std::make_unique<FittedRidge>(
        Standardisation{of("mean", 1), of("deviation", 1)},
        std::vector<LinearModel>{{of("weight", 2), of("bias", 1)}});
  }

 private:
  std::vector<double> candidates_;
};

}  // namespace

std::vector<LinearModel> fit_ridge(const HostTensor& x, const std::vector<double>& y, int64_t width,
                                   std::span<const double> l2, Communicator& communicator) {
  const auto t = static_cast<size_t>(width);
  const Moments moments(x, y, t, communicator);
  std::vector<LinearModel> models;
  for (const double each : l2)
    models.push_back(solution(moments, static_cast<size_t>(x.shape()[1]), t, each));
  return models;
}

std::vector<Key> ridge_keys() {
  return probe_keys({key::numbers("task.l2", "[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]",
                                  "Weights of the squared norm to choose from on held-out labels.")
                         .min(0)});
}

std::unique_ptr<ProbeTask> make_ridge(const TaskParts& parts) {
  return std::make_unique<Ridge>(parts);
}

}  // namespace lacuna
