// Scorer: adds up what scores are made of, over batches and ranks. Each sample adds terms to some
// of the scorer's sums, in double-double arithmetic, and scores are functions of the sums: so they
// do not depend on how samples are divided over batches and ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "kernels/double_double.h"
#include "tasks/score.h"
#include "tasks/targets.h"

namespace lacuna {

class Scorer {
 public:
  virtual ~Scorer() = default;

  // Also gives each score an interval, by the bootstrap over samples (Efron 1979): so many
  // replicates, in each of which a sample counts as often as a Poisson variable of mean 1 says,
  // which is a function of seed, sample and replicate. To be called before any sample is added.
  void bootstrap(uint64_t seed, int replicates = 400);

  // Row i of what was predicted is of the sample samples[i], whose target is at that place.
  void add(const Predicted& predicted, const Targets& targets, std::span<const int64_t> samples);
  // Collective: adds what the other ranks have added; once, after everything.
  void reduce(Communicator& communicator);
  // The first is the main score. Where no sample was added, none is a number.
  std::vector<Score> scores() const;

 protected:
  struct Term {
    size_t sum;
    double value;
  };
  explicit Scorer(size_t sums) : width_(sums), sums_(sums) {}
  // What a sample, row `row` of what was predicted, adds.
  virtual void add_terms(const Predicted& predicted, size_t row, const Targets& targets,
                         size_t sample, std::vector<Term>& terms) const = 0;
  // Names, directions and values, from the sums.
  virtual std::vector<Score> scores_of(std::span<const double> sums) const = 0;

 private:
  std::vector<Score> scores_of_replicate(size_t replicate) const;  // 0: of the samples themselves

  size_t width_;
  uint64_t seed_ = 0;
  size_t replicates_ = 0;
  std::vector<DoubleDouble> sums_;  // [1 + replicates, width]
};

// Scores of classes, of which there are `classes` among the training labels: accuracy (the main
// score), balanced accuracy (mean over classes of the recall), macro F1 (mean over classes), the
// negative log-likelihood (mean, natural logarithm) and the expected calibration error (Guo et al.
// 2017, "On calibration of modern neural networks"; 15 bins of equal width). Without `likelihood`
// that is left out: of a method that calls a class impossible. A sample of a class
// beyond these counts as one that is classified wrongly; one without a label (negative) does not
// count.
std::unique_ptr<Scorer> class_scorer(int64_t classes, bool likelihood = true);

// Scores of real values [width]: mean squared error (the main score) and mean absolute error, both
// over all values of all samples, and R², 1 - squared error / squared deviation from the mean, as
// the mean over the values of a sample.
// A sample without values does not count.
std::unique_ptr<Scorer> value_scorer(int64_t width);

// Scores of marks of `classes` classes, each of which counts as said where its odds are above 1:
// F1 over all marks (the main score), macro F1 (mean over the classes that are there or said), the
// share of samples of which all marks are right, and the negative log-likelihood (mean over marks,
// natural logarithm). Marks that are not known do not count.
std::unique_ptr<Scorer> mark_scorer(int64_t classes);

}  // namespace lacuna
