#include "nn/loss.h"

#include "graph/differentiate.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/scalars.h"
#include "ops/shape.h"

namespace lacuna {

Tensor share_of_means(const std::vector<LossTerm>& terms, Recording& recording) {
  LACUNA_CHECK(!terms.empty(), "a loss without terms");
  recording.divided_by_counts = true;
  const DType dtype = terms[0].numerator.dtype();
  LACUNA_CHECK(dtype == recording.parameters || dtype == DType::f64, "a mean of ", name_of(dtype));
  std::vector<Tensor> counts;
  for (const LossTerm& term : terms) {
    LACUNA_CHECK(term.numerator.shape() == Shape{} && term.numerator.dtype() == dtype &&
                     term.denominator.shape() == Shape{} && is_float(term.denominator.dtype()),
                 "a mean of ", name_of(term.numerator.dtype()), " ", term.numerator.shape(),
                 " over ", name_of(term.denominator.dtype()), " ", term.denominator.shape());
    counts.push_back(stop_gradient(cast(term.denominator, DType::f64)));
  }
  counts = all_reduce_bucket(counts, recording.communicator);
  std::vector<Tensor> shares;
  for (size_t i = 0; i < terms.size(); ++i) {
    const Tensor mean = scale_by(terms[i].numerator, inverse_count(counts[i]));
    shares.push_back(terms[i].weight.defined() ? scale_by(mean, terms[i].weight) : mean);
  }
  return accumulate(shares);
}

}  // namespace lacuna
