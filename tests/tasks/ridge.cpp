#include "tasks/ridge.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "backend/list.h"
#include "support/thread_communicators.h"
#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

struct Problem {
  HostTensor x;           // [n, d]
  std::vector<double> y;  // [n, 2]
};

// y = x A + 1e3 + noise
Problem problem(int64_t n, int64_t d, double noise) {
  const Draws draws(11, Purpose::test, 0);
  Problem made{HostTensor(DType::f32, {n, d}), {}};
  uint32_t k = 0;
  for (float& x : made.x.as<float>()) x = static_cast<float>(2 + draws.normal(k++));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t t = 0; t < 2; ++t) {
      double y = 1e3;
      for (int64_t j = 0; j < d; ++j)
        y += static_cast<double>(made.x.as<float>()[static_cast<size_t>(i * d + j)]) *
             std::cos(static_cast<double>(j + 3 * t));
      made.y.push_back(y + noise * draws.normal(k++));
    }
  }
  return made;
}

// Mean over the rows of |x W^T + b - y|^2, plus l2 |W|^2, with one parameter moved.
double loss(const Problem& p, LinearModel model, double l2, size_t moved = 0, double by = 0) {
  const auto n = static_cast<size_t>(p.x.shape()[0]), d = static_cast<size_t>(p.x.shape()[1]);
  (moved < model.weight.size() ? model.weight[moved] : model.bias[moved - model.weight.size()]) +=
      by;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t t = 0; t < 2; ++t) {
      double off = model.bias[t] - p.y[2 * i + t];
      for (size_t j = 0; j < d; ++j)
        off += model.weight[t * d + j] * static_cast<double>(p.x.as<float>()[i * d + j]);
      sum += off * off / static_cast<double>(n);
    }
  }
  for (const double w : model.weight) sum += l2 * w * w;
  return sum;
}

double steepest(const Problem& p, const LinearModel& model, double l2) {
  double most = 0;
  for (size_t i = 0; i < model.weight.size() + model.bias.size(); ++i)
    most =
        std::max(most, std::abs(loss(p, model, l2, i, 1e-3) - loss(p, model, l2, i, -1e-3)) / 2e-3);
  return most;
}

}  // namespace

TEST_CASE("tasks: ridge regression ends where its loss is least") {
  const Problem p = problem(200, 7, 0.5);
  const auto alone = self_communicator();
  const std::array l2 = {0.0, 1e-2, 10.0};
  std::vector<LinearModel> models = fit_ridge(p.x, p.y, 2, l2, *alone);
  REQUIRE(models.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(steepest(p, models[i], l2[i]) < 1e-7);
    models[i].weight[3] += 1e-3;  // a fault, to see what that bound catches
    CHECK(steepest(p, models[i], l2[i]) > 1e-4);
  }
}

TEST_CASE("tasks: ridge regression without a penalty finds an exact relation") {
  const Problem p = problem(50, 5, 0);
  const auto alone = self_communicator();
  const std::array none = {0.0};
  const LinearModel model = fit_ridge(p.x, p.y, 2, none, *alone)[0];
  for (size_t t = 0; t < 2; ++t) {
    CHECK(model.bias[t] == Approx(1e3).epsilon(1e-9));
    for (size_t j = 0; j < 5; ++j)
      CHECK(model.weight[t * 5 + j] ==
            Approx(std::cos(static_cast<double>(j + 3 * t))).margin(1e-9));
  }
  // Fewer rows than features: they are met exactly, and nothing is no number.
  const Problem few = problem(4, 9, 0.5);
  const LinearModel interpolates = fit_ridge(few.x, few.y, 2, none, *alone)[0];
  CHECK(loss(few, interpolates, 0) < 1e-12);
}

TEST_CASE("tasks: ridge regression does not depend on ranks beyond rounding") {
  const Problem p = problem(101, 6, 0.5);
  const auto alone = self_communicator();
  const std::array l2 = {1e-3};
  const LinearModel one = fit_ridge(p.x, p.y, 2, l2, *alone)[0];
  LinearModel three;
  on_ranks(3, [&](Communicator& communicator) {
    LinearModel found = fit_ridge(p.x, p.y, 2, l2, communicator)[0];
    if (communicator.rank() == 2) three = std::move(found);
  });
  for (size_t i = 0; i < one.weight.size(); ++i)
    CHECK(three.weight[i] == Approx(one.weight[i]).epsilon(1e-12));
}

TEST_CASE("tasks: ridge as a task predicts values, and is kept exactly") {
  const Problem p = problem(120, 6, 0.1);
  Features train{copy_of(p.x),
                 {.type = TargetType::values, .classes = {}, .values = p.y, .width = 2}};
  const auto device = make_device("reference", 1);
  const auto alone = self_communicator();
  const Configuration configuration = task_configuration("ridge");
  const auto task =
      make_ridge({.configuration = configuration, .targets = &train.targets, .outputs = 2});
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 120; ++i) rows.push_back(i);
  const std::array l2 = {1e-6};
  const auto fitted = task->fit(train, rows, l2, *device, *alone);
  const HostTensor outputs = std::move(fitted->outputs(p.x)[0]);
  CHECK(doubles_of(task->restored(fitted->tensors(), *device)->outputs(p.x)[0]) ==
        doubles_of(outputs));
  const auto scorer = task->scorer();
  scorer->add(task->predicted(outputs), train.targets, rows);
  CHECK(scorer->scores()[0].value == Approx(0.01).epsilon(0.3));  // the noise's variance
}
