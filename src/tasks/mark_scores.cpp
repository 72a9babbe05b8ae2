#include <algorithm>
#include <cmath>

#include "tasks/scorer.h"

namespace lacuna {

namespace {

class MarkScorer final : public Scorer {
 public:
  explicit MarkScorer(int64_t classes)
      : Scorer(per_class * static_cast<size_t>(classes) + 4),
        classes_(static_cast<size_t>(classes)) {}

 private:
  // The sums: of each class, then samples, samples of which all is right, marks, and their negative
  // log-likelihood.
  static constexpr size_t per_class = 3;  // right, there, said
  static size_t of_class(size_t c, size_t which) { return per_class * c + which; }
  size_t behind(size_t which) const { return per_class * classes_ + which; }

  void add_terms(const Predicted& predicted, size_t row, const Targets& targets, size_t sample,
                 std::vector<Term>& terms) const override {
    if (!targets.known(static_cast<int64_t>(sample))) return;
    double marks = 0, unlikelihood = 0;
    bool all_right = true;
    for (size_t c = 0; c < classes_; ++c) {
      const int64_t mark = targets.classes[sample * classes_ + c];
      if (mark < 0) continue;
      const double odds = predicted.numbers[row * classes_ + c];
      const bool there = mark == 1, said = odds > 0;
      if (there && said) terms.push_back({of_class(c, 0), 1});
      if (there) terms.push_back({of_class(c, 1), 1});
      if (said) terms.push_back({of_class(c, 2), 1});
      all_right = all_right && there == said;
      marks += 1;
      const double against = there ? -odds : odds;  // log(1 + exp(against)), without overflow
      unlikelihood += std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
    }
    terms.push_back({behind(0), 1});
    if (all_right) terms.push_back({behind(1), 1});
    terms.push_back({behind(2), marks});
    terms.push_back({behind(3), unlikelihood});
  }

  std::vector<Score> scores_of(std::span<const double> sums) const override {
    double right = 0, there_or_said = 0, f1 = 0, named = 0;
    for (size_t c = 0; c < classes_; ++c) {
      const double hits = sums[of_class(c, 0)];
      const double both = sums[of_class(c, 1)] + sums[of_class(c, 2)];
      right += hits;
      there_or_said += both;
      if (both > 0) {
        f1 += 2 * hits / both;
        named += 1;
      }
    }
    return {{"f1", Direction::higher, 2 * right / there_or_said},
            {"macro_f1", Direction::higher, f1 / named},
            {"all_right", Direction::higher, sums[behind(1)] / sums[behind(0)]},
            {"nll", Direction::lower, sums[behind(3)] / sums[behind(2)]}};
  }

  size_t classes_;
};

}  // namespace

std::unique_ptr<Scorer> mark_scorer(int64_t classes) {
  return std::make_unique<MarkScorer>(classes);
}

}  // namespace lacuna
