#include "tasks/interval.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace lacuna;

TEST_CASE("tasks: quantiles of Student's t are those of the tables") {
  // Abramowitz, Stegun, Handbook of mathematical functions, table 26.10, for the two-sided 95 %.
  const std::vector<std::pair<int64_t, double>> known = {
      {1, 12.706}, {2, 4.303}, {3, 3.182}, {5, 2.571}, {10, 2.228}, {30, 2.042}, {120, 1.980}};
  for (const auto& [degrees, t] : known)
    CHECK(student_t_quantile(0.975, degrees) == Approx(t).margin(6e-4));
  CHECK(student_t_quantile(0.025, 5) == -student_t_quantile(0.975, 5));
  CHECK(student_t_quantile(0.5, 5) == 0);
  // Of one degree of freedom it is Cauchy's distribution, of two it has a closed form.
  CHECK(student_t_quantile(0.9, 1) == Approx(std::tan(std::acos(-1) * 0.4)).epsilon(1e-12));
  CHECK(student_t_quantile(0.9, 2) == Approx(0.8 * std::sqrt(2 / (4 * 0.9 * 0.1))).epsilon(1e-12));
  CHECK(student_t_quantile(0.975, 100000) == Approx(1.959988).margin(1e-5));  // nearly normal
}

TEST_CASE("tasks: the mean of draws and its interval") {
  const Mean mean = mean_of({1, 2, 3, 4});
  CHECK(mean.value == 2.5);
  // s = sqrt(5 / 3), 3.182446 s / 2
  CHECK(mean.interval.low == Approx(2.5 - 2.054260).margin(1e-5));
  CHECK(mean.interval.high == Approx(2.5 + 2.054260).margin(1e-5));
  CHECK(mean_of({0.7}).value == 0.7);
  CHECK(std::isnan(mean_of({0.7}).interval.low));
  const double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values = {none};
  for (int i = 0; i <= 1000; ++i) values.push_back(i);
  CHECK(percentile_interval(values).low == 25);
  CHECK(percentile_interval(values).high == 975);
  CHECK(std::isnan(percentile_interval({none}).high));
}

TEST_CASE("tasks: a score that is no number is never better") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const auto score = [](Direction better, double value) { return Score{"x", better, value, {}}; };
  CHECK(is_better(score(Direction::higher, 2), score(Direction::higher, 1)));
  CHECK_FALSE(is_better(score(Direction::higher, 1), score(Direction::higher, 1)));
  CHECK(is_better(score(Direction::lower, 1), score(Direction::lower, 2)));
  CHECK(is_better(score(Direction::lower, 1), score(Direction::lower, none)));
  CHECK_FALSE(is_better(score(Direction::lower, none), score(Direction::lower, none)));
}
