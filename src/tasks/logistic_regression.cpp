#include "tasks/logistic_regression.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <numeric>

#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/matrix_product.h"

namespace lacuna {

namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Loss and gradient over [W; b], which every rank computes for its rows and all add up.
class Objective {
 public:
  Objective(const Features& train, int64_t classes, double l2, Device& device,
            Communicator& communicator)
      : classes_(classes),
        dimension_(train.dimension()),
        l2_(l2),
        total_(train.count()),
        communicator_(communicator),
        executor_(device),
        dtype_(device.parameter_dtype()),
        weight_(dtype_, {classes, dimension_}),
        bias_(dtype_, {classes}),
        one_(dtype_, Shape{}) {
    const int64_t first = total_ * communicator.rank() / communicator.size();
    const int64_t last = total_ * (communicator.rank() + 1) / communicator.size();
    rows_ = last - first;
    x_ = train.values.as<float>().data() + first * dimension_;
    labels_ = train.targets.classes.data() + first;
    const double one = 1;
    put(one_, {&one, 1});
  }

  size_t size() const { return static_cast<size_t>(classes_ * (dimension_ + 1)); }

  double operator()(const Vector& parameters, Vector& gradient) {
    const auto weights = static_cast<size_t>(classes_ * dimension_);
    put(weight_, {parameters.data(), weights});
    put(bias_, {parameters.data() + weights, static_cast<size_t>(classes_)});
    const Tensor w = host_leaf("weight", weight_);
    const Tensor b = host_leaf("bias", bias_);
    const Tensor x = cast(host_leaf("x", DType::f32, {rows_, dimension_}, x_), dtype_);
    const Tensor labels = host_leaf("labels", DType::i64, {rows_}, labels_);
    const Tensor loss =
        softmax_cross_entropy(linear(x, w, b), labels, 1.0 / static_cast<double>(total_));
    const std::vector<Tensor> by = differentiate(loss, host_leaf("one", one_), {w, b});
    executor_.run({loss, by[0], by[1]});

    Vector all(1 + size());
    all[0] = executor_.scalar(0);
    take(executor_.output(1), &all[1]);
    take(executor_.output(2), &all[1 + weights]);
    communicator_.all_reduce_sum(all.data(), all.size(), DType::f64).wait();
    double penalty = 0;
    gradient.assign(all.begin() + 1, all.end());
    for (size_t i = 0; i < weights; ++i) {
      penalty += parameters[i] * parameters[i];
      gradient[i] += l2_ * parameters[i];
    }
    return all[0] + l2_ / 2 * penalty;
  }

 private:
  static void put(HostTensor& to, std::span<const double> from) {
    for (size_t i = 0; i < from.size(); ++i) {
      if (to.dtype() == DType::f64) {
        to.as<double>()[i] = from[i];
      } else {
        to.as<float>()[i] = static_cast<float>(from[i]);
      }
    }
  }
  static void take(const HostTensor& from, double* to) {
    if (from.dtype() == DType::f64) {
      std::copy(from.as<double>().begin(), from.as<double>().end(), to);
    } else {
      std::copy(from.as<float>().begin(), from.as<float>().end(), to);
    }
  }

  int64_t classes_, dimension_;
  double l2_;
  int64_t total_, rows_ = 0;
  const float* x_ = nullptr;
  const int64_t* labels_ = nullptr;
  Communicator& communicator_;
  Executor executor_;
  DType dtype_;
  HostTensor weight_, bias_, one_;
};

// The direction -H g of L-BFGS by its two-loop recursion (Nocedal 1980).
Vector direction(const Vector& gradient, const std::deque<std::pair<Vector, Vector>>& history) {
  Vector q = gradient;
  std::vector<double> alpha;
  for (auto it = history.rbegin(); it != history.rend(); ++it) {
    const auto& [s, y] = *it;
    alpha.push_back(dot(s, q) / dot(y, s));
    for (size_t i = 0; i < q.size(); ++i) q[i] -= alpha.back() * y[i];
  }
  if (!history.empty()) {
    const auto& [s, y] = history.back();
    const double scale = dot(s, y) / dot(y, y);
    for (double& v : q) v *= scale;
  }
  for (const auto& [s, y] : history) {
    const double beta = dot(y, q) / dot(y, s);
    for (size_t i = 0; i < q.size(); ++i) q[i] += s[i] * (alpha.back() - beta);
    alpha.pop_back();
  }
  for (double& v : q) v = -v;
  return q;
}

struct Minimum {
  Vector parameters;
  double loss = 0;
  int iterations = 0;
};

Minimum minimise(Objective& objective) {
  constexpr int most_iterations = 300;
  constexpr size_t memory = 10;
  Minimum best{Vector(objective.size()), 0, 0};
  Vector gradient;
  best.loss = objective(best.parameters, gradient);
  std::deque<std::pair<Vector, Vector>> history;
  Vector trial, trial_gradient;
  for (; best.iterations < most_iterations; ++best.iterations) {
    const Vector step = direction(gradient, history);
    const double slope = dot(gradient, step);
    if (slope > -1e-12 || dot(gradient, gradient) < 1e-12) break;
    // Halve the step until Armijo's condition holds.
    double length = history.empty() ? std::min(1.0, 1 / std::sqrt(dot(gradient, gradient))) : 1.0;
    double loss = 0;
    bool found = false;
    for (int halving = 0; halving < 20 && !found; ++halving, length /= 2) {
      trial = best.parameters;
      for (size_t i = 0; i < trial.size(); ++i) trial[i] += length * step[i];
      loss = objective(trial, trial_gradient);
      found = loss <= best.loss + 1e-4 * length * slope;
    }
    if (!found) break;
    Vector s(trial.size()), y(trial.size());
    for (size_t i = 0; i < trial.size(); ++i) {
      s[i] = trial[i] - best.parameters[i];
      y[i] = trial_gradient[i] - gradient[i];
    }
    if (dot(s, y) > 1e-12 * dot(y, y)) history.emplace_back(std::move(s), std::move(y));
    if (history.size() > memory) history.pop_front();
    const double gain = best.loss - loss;
    best.parameters = trial;
    best.loss = loss;
    gradient = trial_gradient;
    if (gain < 1e-7 * std::max(1.0, std::abs(loss))) break;
  }
  return best;
}

}  // namespace

LinearClassifier fit_logistic_regression(const Features& train, int64_t classes, double l2,
                                         Device& device, Communicator& communicator) {
  Objective objective(train, classes, l2, device, communicator);
  const Minimum best = minimise(objective);
  LinearClassifier classifier{HostTensor(DType::f32, {classes, train.dimension()}),
                              HostTensor(DType::f32, {classes}), best.iterations, best.loss};
  const auto weights = static_cast<size_t>(classes * train.dimension());
  for (size_t i = 0; i < best.parameters.size(); ++i) {
    const auto v = static_cast<float>(best.parameters[i]);
    if (i < weights) {
      classifier.weight.as<float>()[i] = v;
    } else {
      classifier.bias.as<float>()[i - weights] = v;
    }
  }
  return classifier;
}

HostTensor logits(const LinearClassifier& classifier, const HostTensor& features, DType dtype,
                  Executor& executor) {
  const auto leaf = [&](const char* name, const HostTensor& value) {
    return cast(host_leaf(name, value), dtype);
  };
  executor.run({cast(
      linear(leaf("x", features), leaf("weight", classifier.weight), leaf("bias", classifier.bias)),
      DType::f32)});
  return executor.output(0);
}

}  // namespace lacuna
