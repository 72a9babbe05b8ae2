#include <algorithm>
#include <cmath>

#include "tasks/scorer.h"

namespace lacuna {

namespace {

constexpr size_t bins = 15;

class ClassScorer final : public Scorer {
 public:
  ClassScorer(int64_t classes, bool likelihood)
      : Scorer(per_class * static_cast<size_t>(classes) + per_bin * bins + 3),
        classes_(static_cast<size_t>(classes)),
        likelihood_(likelihood) {}

 private:
  // The sums: of each class, of each bin, samples, negative log-likelihood, samples of unknown
  // classes.
  static constexpr size_t per_class = 3;  // right, of the class, predicted
  static constexpr size_t per_bin = 3;    // samples, right, confidence
  size_t of_class(size_t c, size_t which) const { return per_class * c + which; }
  size_t of_bin(size_t bin, size_t which) const {
    return per_class * classes_ + per_bin * bin + which;
  }
  size_t samples() const { return of_bin(bins, 0); }
  size_t unlikelihood() const { return samples() + 1; }
  size_t unknown() const { return samples() + 2; }

  void add_terms(const Predicted& predicted, size_t row, const Targets& targets, size_t sample,
                 std::vector<Term>& terms) const override {
    const auto width = static_cast<size_t>(predicted.width);
    const auto said = static_cast<size_t>(predicted.classes[row]);
    const int64_t label = targets.classes[sample];
    if (label < 0) return;  // nobody knows whether it is right
    const bool known = static_cast<size_t>(label) < classes_;
    const double right = known && static_cast<size_t>(label) == said ? 1 : 0;
    const double* logarithms = &predicted.numbers[row * width];
    terms.push_back({samples(), 1});
    terms.push_back({of_class(said, 2), 1});
    terms.push_back({known ? of_class(static_cast<size_t>(label), 1) : unknown(), 1});
    if (right > 0) terms.push_back({of_class(said, 0), 1});
    if (likelihood_ && known) terms.push_back({unlikelihood(), -logarithms[label]});
    // A bin is open below and closed above: (m / 15, (m + 1) / 15].
    const double confidence = std::min(1.0, std::exp(logarithms[said]));
    const double place = std::ceil(confidence * static_cast<double>(bins)) - 1;
    const auto bin = static_cast<size_t>(std::clamp(place, 0.0, static_cast<double>(bins - 1)));
    terms.push_back({of_bin(bin, 0), 1});
    if (right > 0) terms.push_back({of_bin(bin, 1), 1});
    terms.push_back({of_bin(bin, 2), confidence});
  }

  std::vector<Score> scores_of(std::span<const double> sums) const override {
    double right = 0, recall = 0, present = 0, f1 = 0, named = 0;
    for (size_t c = 0; c < classes_; ++c) {
      const double hits = sums[of_class(c, 0)];
      const double actual = sums[of_class(c, 1)], said = sums[of_class(c, 2)];
      right += hits;
      if (actual > 0) {
        recall += hits / actual;
        present += 1;
      }
      if (actual + said > 0) {
        f1 += 2 * hits / (actual + said);
        named += 1;
      }
    }
    double miscalibration = 0;
    for (size_t bin = 0; bin < bins; ++bin)
      miscalibration += std::abs(sums[of_bin(bin, 1)] - sums[of_bin(bin, 2)]);
    const double count = sums[samples()];
    const double least = sums[unknown()] > 0 ? HUGE_VAL : 0;  // what has probability 0 was there
    std::vector<Score> scores = {
        {"accuracy", Direction::higher, right / count},
        {"balanced_accuracy", Direction::higher, recall / present},
        {"macro_f1", Direction::higher, f1 / named},
    };
    if (likelihood_)
      scores.push_back({"nll", Direction::lower, least + sums[unlikelihood()] / count});
    scores.push_back({"ece", Direction::lower, miscalibration / count});
    return scores;
  }

  size_t classes_;
  bool likelihood_;
};

}  // namespace

std::unique_ptr<Scorer> class_scorer(int64_t classes, bool likelihood) {
  return std::make_unique<ClassScorer>(classes, likelihood);
}

}  // namespace lacuna
