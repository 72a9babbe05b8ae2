#include "tasks/logistic_regression.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "backend/list.h"
#include "tasks/linear.h"
#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

// Mean cross entropy + l2 / 2 |W|^2 of the classifier with one parameter moved, in double.
double loss(const Features& train, const LinearClassifier& classifier, double l2, size_t moved = 0,
            double by = 0) {
  const auto d = static_cast<size_t>(train.dimension());
  const auto classes = static_cast<size_t>(classifier.bias.shape()[0]);
  std::vector<double> parameters;
  for (const float w : classifier.weight.as<float>()) parameters.push_back(w);
  for (const float b : classifier.bias.as<float>()) parameters.push_back(b);
  parameters[moved] += by;
  double sum = 0;
  for (size_t i = 0; i < train.targets.classes.size(); ++i) {
    double total = 0, right = 0;
    for (size_t c = 0; c < classes; ++c) {
      double logit = parameters[classes * d + c];
      for (size_t j = 0; j < d; ++j)
        logit += parameters[c * d + j] * static_cast<double>(train.values.as<float>()[i * d + j]);
      total += std::exp(logit);
      if (c == static_cast<size_t>(train.targets.classes[i])) right = logit;
    }
    sum += std::log(total) - right;
  }
  double squares = 0;
  for (size_t i = 0; i < classes * d; ++i) squares += parameters[i] * parameters[i];
  return sum / static_cast<double>(train.count()) + l2 / 2 * squares;
}

// Largest derivative by a parameter: 0 at the minimum, the only one since the loss is convex.
double steepest(const Features& train, const LinearClassifier& classifier, double l2) {
  const size_t count = classifier.weight.as<float>().size() + classifier.bias.as<float>().size();
  double most = 0;
  for (size_t i = 0; i < count; ++i) {
    const double slope =
        (loss(train, classifier, l2, i, 1e-4) - loss(train, classifier, l2, i, -1e-4)) / 2e-4;
    most = std::max(most, std::abs(slope));
  }
  return most;
}

}  // namespace

TEST_CASE("logistic regression ends where its loss is least") {
  const Features train = clusters(300, 5, 4, 1.5, 1);
  const auto communicator = self_communicator();
  for (const char* name : {"reference", "cpu"}) {
    const auto device = make_device(name, 1);
    for (const double l2 : {1e-2, 1.0}) {
      LinearClassifier found = fit_logistic_regression(train, 4, l2, *device, *communicator);
      INFO(name << ", l2 " << l2);
      CHECK(found.loss == Approx(loss(train, found, l2)).epsilon(1e-5));
      CHECK(steepest(train, found, l2) < 2e-3);
      for (float& w : found.weight.as<float>())
        w *= 1.1f;  // a fault, to see what that bound catches
      CHECK(steepest(train, found, l2) > 4e-3);
    }
  }
}

TEST_CASE("a linear probe does not depend on the units of a feature") {
  Features train = clusters(400, 5, 4, 1.0, 2);
  Features test = clusters(200, 5, 4, 1.0, 3);
  const auto device = make_device("reference", 1);
  const auto communicator = self_communicator();
  const Configuration configuration = task_configuration("linear");
  const auto task =
      make_linear({.configuration = configuration, .targets = &train.targets, .outputs = 4});
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 400; ++i) rows.push_back(i);
  const std::vector<double> l2 = {1e-3};
  const auto right = [&] {
    const auto fitted = task->fit(train, rows, l2, *device, *communicator);
    const HostTensor outputs = std::move(fitted->outputs(test.values)[0]);
    const auto kept = task->restored(fitted->tensors(), *device);
    CHECK(doubles_of(kept->outputs(test.values)[0]) == doubles_of(outputs));
    const std::vector<int64_t> said = task->predicted(outputs).classes;
    double sum = 0;
    for (size_t i = 0; i < said.size(); ++i) sum += said[i] == test.targets.classes[i];
    return sum / 200;
  };
  const double before = right();
  CHECK(before > 0.5);
  for (Features* features : {&train, &test}) {
    for (int64_t i = 0; i < features->count(); ++i) {
      float& value = features->values.as<float>()[static_cast<size_t>(i * 5 + 2)];
      value = 1024 * value + 4096;
    }
  }
  CHECK(right() == Approx(before).margin(0.006));
}
