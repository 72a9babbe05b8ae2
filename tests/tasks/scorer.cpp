#include "tasks/scorer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "support/thread_communicators.h"
#include "tasks/support.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

double value_of(const std::vector<Score>& scores, const std::string& name) {
  for (const Score& score : scores)
    if (score.name == name) return score.value;
  FAIL("no score " << name);
  return 0;
}

Predicted predicted_rows(const Predicted& all, const std::vector<int64_t>& rows) {
  Predicted chosen{.classes = {}, .numbers = {}, .width = all.width};
  for (const int64_t row : rows) {
    if (!all.classes.empty()) chosen.classes.push_back(all.classes[static_cast<size_t>(row)]);
    const auto first = all.numbers.begin() + row * all.width;
    chosen.numbers.insert(chosen.numbers.end(), first, first + all.width);
  }
  return chosen;
}

std::vector<int64_t> counting(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

struct Case {
  Predicted predicted;
  Targets targets;
};

// Logits that are right now and then, and overconfident.
Case random_classes(int64_t count, int64_t classes) {
  const Draws draws(3, Purpose::test, 0);
  HostTensor logits(DType::f64, {count, classes});
  Targets targets{.type = TargetType::classes, .classes = {}, .values = {}, .width = classes};
  for (int64_t i = 0; i < count; ++i) {
    targets.classes.push_back(i * i % classes);
    for (int64_t c = 0; c < classes; ++c)
      logits.as<double>()[static_cast<size_t>(i * classes + c)] =
          3 * draws.normal(static_cast<uint32_t>(i * classes + c)) +
          (c == targets.classes.back() ? 2 : 0);
  }
  return {classes_of_logits(logits), std::move(targets)};
}

Case random_values(int64_t count, int64_t width) {
  const Draws draws(4, Purpose::test, 0);
  Case made{{.classes = {}, .numbers = {}, .width = width},
            {.type = TargetType::values, .classes = {}, .values = {}, .width = width}};
  for (int64_t k = 0; k < count * width; ++k) {
    made.targets.values.push_back(1e6 + draws.normal(static_cast<uint32_t>(2 * k)));
    made.predicted.numbers.push_back(made.targets.values.back() +
                                     0.5 * draws.normal(static_cast<uint32_t>(2 * k + 1)));
  }
  return made;
}

// Of `samples` in batches of a size, each rank with every `ranks`-th batch.
std::vector<Score> scores_by(const Case& all, std::unique_ptr<Scorer> scorer, int64_t batch,
                             Communicator& communicator) {
  scorer->bootstrap(7, 40);
  const int64_t count = all.targets.count();
  for (int64_t first = communicator.rank() * batch; first < count;
       first += communicator.size() * batch) {
    std::vector<int64_t> rows = counting(std::min(batch, count - first));
    for (int64_t& row : rows) row += first;
    scorer->add(predicted_rows(all.predicted, rows), all.targets, rows);
  }
  scorer->reduce(communicator);
  return scorer->scores();
}

void check_equal(const std::vector<Score>& a, const std::vector<Score>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].name);
    CHECK(a[i].name == b[i].name);
    CHECK(a[i].value == b[i].value);
    CHECK(a[i].interval.low == b[i].interval.low);
    CHECK(a[i].interval.high == b[i].interval.high);
  }
}

}  // namespace

TEST_CASE("tasks: scores of classes are what their definitions say, by hand") {
  // Labels 0 0 0 1 1 2; said 0 0 1 1 0 1, so that class 2 is never said.
  const std::vector<double> p = {0.8, 0.1, 0.1, 0.6, 0.3, 0.1, 0.2, 0.7, 0.1,
                                 0.1, 0.8, 0.1, 0.5, 0.3, 0.2, 0.1, 0.6, 0.3};
  Predicted predicted{.classes = {0, 0, 1, 1, 0, 1}, .numbers = {}, .width = 3};
  for (const double each : p) predicted.numbers.push_back(std::log(each));
  const Targets targets{
      .type = TargetType::classes, .classes = {0, 0, 0, 1, 1, 2}, .values = {}, .width = 3};
  const auto scorer = class_scorer(3);
  scorer->add(predicted, targets, counting(6));
  const std::vector<Score> scores = scorer->scores();
  CHECK(scores[0].name == "accuracy");
  CHECK(scores[0].better == Direction::higher);
  CHECK(scores[0].value == 0.5);
  CHECK(value_of(scores, "balanced_accuracy") == Approx((2.0 / 3 + 0.5 + 0) / 3));
  // F1: 2 * 2 / (3 + 3), 2 * 1 / (2 + 3), 0 / (1 + 0).
  CHECK(value_of(scores, "macro_f1") == Approx((4.0 / 6 + 2.0 / 5) / 3));
  const double nll = -(std::log(0.8) + std::log(0.6) + std::log(0.2) + std::log(0.8) +
                       std::log(0.3) + std::log(0.3)) /
                     6;
  CHECK(value_of(scores, "nll") == Approx(nll));
  // Bins of 1 / 15: {0.8, 0.8} both right, {0.6, 0.6} one of two, {0.7} wrong, {0.5} wrong.
  CHECK(value_of(scores, "ece") == Approx((0.4 + 0.2 + 0.7 + 0.5) / 6));
  CHECK(scores[3].better == Direction::lower);
  // A class that was not among the training labels is a wrong answer; a sample without a label is
  // none at all.
  const Targets unknown{
      .type = TargetType::classes, .classes = {0, 0, 0, 1, 7, -1}, .values = {}, .width = 3};
  const auto other = class_scorer(3);
  other->add(predicted, unknown, counting(6));
  CHECK(other->scores()[0].value == 0.6);
  CHECK(value_of(other->scores(), "nll") == HUGE_VAL);
  CHECK(class_scorer(3, false)->scores().size() == 4);
}

TEST_CASE("tasks: of calibrated probabilities the calibration error goes to 0") {
  const Draws draws(5, Purpose::test, 0);
  constexpr int64_t count = 20000;
  for (const double confidence_shift : {0.0, 0.2}) {
    Predicted predicted{.classes = {}, .numbers = {}, .width = 2};
    Targets targets{.type = TargetType::classes, .classes = {}, .values = {}, .width = 2};
    for (uint32_t i = 0; i < count; ++i) {
      const double truth = 0.5 + 0.3 * draws.uniform(2 * i);
      targets.classes.push_back(draws.uniform(2 * i + 1) < truth ? 0 : 1);
      const double said = truth + confidence_shift;
      predicted.classes.push_back(0);
      predicted.numbers.insert(predicted.numbers.end(), {std::log(said), std::log(1 - said)});
    }
    const auto scorer = class_scorer(2);
    scorer->add(predicted, targets, counting(count));
    CHECK(value_of(scorer->scores(), "ece") == Approx(confidence_shift).margin(0.01));
  }
}

TEST_CASE("tasks: scores of values are what their definitions say") {
  const Case all = random_values(500, 2);
  const auto scorer = value_scorer(2);
  scorer->add(all.predicted, all.targets, counting(500));
  double squared = 0, absolute = 0, r2 = 0;
  for (size_t value = 0; value < 2; ++value) {
    double mean = 0, error = 0, deviation = 0;
    for (size_t i = value; i < 1000; i += 2) mean += all.targets.values[i] / 500;
    for (size_t i = value; i < 1000; i += 2) {
      const double off = all.predicted.numbers[i] - all.targets.values[i];
      error += off * off;
      absolute += std::abs(off);
      deviation += (all.targets.values[i] - mean) * (all.targets.values[i] - mean);
    }
    squared += error;
    r2 += (1 - error / deviation) / 2;
  }
  const std::vector<Score> scores = scorer->scores();
  CHECK(scores[0].name == "mse");
  CHECK(scores[0].better == Direction::lower);
  CHECK(scores[0].value == Approx(squared / 1000).epsilon(1e-12));
  CHECK(value_of(scores, "mae") == Approx(absolute / 1000).epsilon(1e-12));
  CHECK(value_of(scores, "r2") == Approx(r2).epsilon(1e-9));
}

TEST_CASE("tasks: scores of marks are what their definitions say, by hand") {
  // Of three classes the third is neither there nor said; the last sample is not known at all.
  const Predicted predicted{
      .classes = {}, .numbers = {2, -1, -3, 1, 1, -2, -1, 3, -1, 5, 5, 5}, .width = 3};
  const Targets targets{.type = TargetType::marks,
                        .classes = {1, 0, 0, 0, 1, 0, 1, 1, -1, -1, -1, -1},
                        .values = {},
                        .width = 3};
  const auto scorer = mark_scorer(3);
  scorer->add(predicted, targets, counting(4));
  const std::vector<Score> scores = scorer->scores();
  CHECK(scores[0].name == "f1");
  // Right 1 and 2; there 2 and 2; said 2 and 2.
  CHECK(scores[0].value == Approx(2.0 * 3 / 8));
  CHECK(value_of(scores, "macro_f1") == Approx((2.0 * 1 / 4 + 2.0 * 2 / 4) / 2));
  CHECK(value_of(scores, "all_right") == Approx(1.0 / 3));
  double nll = 0;
  for (const double against : {-2, -1, -3, 1, -1, -2, 1, -3})
    nll += std::log(1 + std::exp(against));
  CHECK(value_of(scores, "nll") == Approx(nll / 8));
  CHECK(scores[3].better == Direction::lower);
}

TEST_CASE("tasks: a sample without values does not count, even where it is the first") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  Case all = random_values(60, 2);
  const auto known = value_scorer(2), some = value_scorer(2);
  std::vector<int64_t> rows = counting(60);
  rows.erase(rows.begin());
  known->add(predicted_rows(all.predicted, rows), all.targets, rows);
  all.targets.values[1] = none;
  some->add(all.predicted, all.targets, counting(60));
  for (size_t i = 0; i < 3; ++i)
    CHECK(some->scores()[i].value == Approx(known->scores()[i].value).epsilon(1e-12));
}

TEST_CASE("tasks: scores do not depend on batches and ranks, bit for bit") {
  const Case classes = random_classes(301, 4), values = random_values(301, 3);
  const auto alone = self_communicator();
  const std::vector<Score> of_classes = scores_by(classes, class_scorer(4), 301, *alone);
  const std::vector<Score> of_values = scores_by(values, value_scorer(3), 301, *alone);
  check_equal(scores_by(classes, class_scorer(4), 7, *alone), of_classes);
  check_equal(scores_by(values, value_scorer(3), 1, *alone), of_values);
  on_ranks(3, [&](Communicator& communicator) {
    const std::vector<Score> c = scores_by(classes, class_scorer(4), 16, communicator);
    const std::vector<Score> v = scores_by(values, value_scorer(3), 16, communicator);
    if (communicator.rank() != 1) return;
    check_equal(c, of_classes);
    check_equal(v, of_values);
  });
}

TEST_CASE("tasks: the bootstrap's interval of an accuracy is the binomial's") {
  const Case all = random_classes(2000, 4);
  const auto scorer = class_scorer(4);
  scorer->bootstrap(1, 400);
  scorer->add(all.predicted, all.targets, counting(2000));
  const Score accuracy = scorer->scores()[0];
  const double deviation = std::sqrt(accuracy.value * (1 - accuracy.value) / 2000);
  // Of 400 replicates either bound is known to some 8 % of the interval's half.
  CHECK(accuracy.interval.low == Approx(accuracy.value - 1.96 * deviation).margin(0.5 * deviation));
  CHECK(accuracy.interval.high ==
        Approx(accuracy.value + 1.96 * deviation).margin(0.5 * deviation));
}
