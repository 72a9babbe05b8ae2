#include <cmath>

#include "tasks/scorer.h"

namespace lacuna {

namespace {

class ValueScorer final : public Scorer {
 public:
  explicit ValueScorer(int64_t width)
      : Scorer(1 + per_value * static_cast<size_t>(width)), width_(static_cast<size_t>(width)) {}

 private:
  // The sums: samples, and of each value of a sample its squared and absolute error, how far it is
  // from that of the first sample with values, and the square of that, of which a deviation loses
  // no digits where the values are large and close together.
  static constexpr size_t per_value = 4;
  static size_t of_value(size_t value, size_t which) { return 1 + per_value * value + which; }

  static size_t first_known(const Targets& targets) {
    int64_t sample = 0;
    while (!targets.known(sample)) ++sample;
    return static_cast<size_t>(sample);
  }

  void add_terms(const Predicted& predicted, size_t row, const Targets& targets, size_t sample,
                 std::vector<Term>& terms) const override {
    if (!targets.known(static_cast<int64_t>(sample))) return;
    const size_t base = first_known(targets);
    terms.push_back({0, 1});
    for (size_t i = 0; i < width_; ++i) {
      const double target = targets.values[sample * width_ + i];
      const double error = predicted.numbers[row * width_ + i] - target;
      terms.push_back({of_value(i, 0), error * error});
      terms.push_back({of_value(i, 1), std::abs(error)});
      const double away = target - targets.values[base * width_ + i];
      terms.push_back({of_value(i, 2), away});
      terms.push_back({of_value(i, 3), away * away});
    }
  }

  std::vector<Score> scores_of(std::span<const double> sums) const override {
    const double count = sums[0];
    const auto width = static_cast<double>(width_);
    double squared = 0, absolute = 0, r2 = 0;
    for (size_t i = 0; i < width_; ++i) {
      const double error = sums[of_value(i, 0)];
      const double mean = sums[of_value(i, 2)] / count;
      const double deviation = sums[of_value(i, 3)] - count * mean * mean;
      squared += error;
      absolute += sums[of_value(i, 1)];
      r2 += (1 - error / deviation) / width;
    }
    return {{"mse", Direction::lower, squared / (count * width)},
            {"mae", Direction::lower, absolute / (count * width)},
            {"r2", Direction::higher, r2}};
  }

  size_t width_;
};

}  // namespace

std::unique_ptr<Scorer> value_scorer(int64_t width) { return std::make_unique<ValueScorer>(width); }

}  // namespace lacuna
