#include "nn/loss.h"

#include <algorithm>

#include "graph/differentiate.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/scalars.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

void check(const LossTerm& term, DType dtype) {
  const Tensor& numerator = term.numerator;
  const Tensor& denominator = term.denominator;
  LACUNA_CHECK(numerator.shape() == Shape{} && numerator.dtype() == dtype &&
                   denominator.shape() == Shape{} && is_float(denominator.dtype()),
               "a mean of ", name_of(numerator.dtype()), " ", numerator.shape(), " over ",
               name_of(denominator.dtype()), " ", denominator.shape());
}

// Of all ranks, in one message.
std::vector<Tensor> counts_of(const std::vector<LossTerm>& terms, const ForwardContext& forward) {
  LACUNA_CHECK(!terms.empty(), "a loss without terms");
  const DType dtype = terms[0].numerator.dtype();
  LACUNA_CHECK(dtype == forward.parameters || dtype == DType::f64, "a mean of ", name_of(dtype));
  std::vector<Tensor> counts;
  for (const LossTerm& term : terms) {
    check(term, dtype);
    counts.push_back(stop_gradient(cast(term.denominator, DType::f64)));
  }
  return all_reduce_bucket(counts, forward.communicator);
}

Tensor weighted(const Tensor& x, const LossTerm& term) {
  return term.weight.defined() ? scale_by(x, term.weight) : x;
}

bool have_one_denominator(const std::vector<LossTerm>& terms) {
  return std::all_of(terms.begin(), terms.end(), [&](const LossTerm& term) {
    return term.denominator == terms[0].denominator;
  });
}

}  // namespace

Tensor share_of_means(const std::vector<LossTerm>& terms, ForwardContext& forward) {
  const std::vector<Tensor> counts = counts_of(terms, forward);
  std::vector<Tensor> shares;
  for (size_t i = 0; i < terms.size(); ++i)
    shares.push_back(weighted(scale_by(terms[i].numerator, inverse_count(counts[i])), terms[i]));
  forward.divided.insert(forward.divided.end(), shares.begin(), shares.end());
  return accumulate(shares);
}

Tensor loss_of_means(const std::vector<LossTerm>& terms, ForwardContext& forward) {
  if (forward.micro_batches == 1 || !have_one_denominator(terms))
    return share_of_means(terms, forward);
  forward.undivided_count = counts_of({terms[0]}, forward)[0];
  std::vector<Tensor> numerators;
  for (const LossTerm& term : terms) {
    check(term, forward.parameters);
    numerators.push_back(weighted(term.numerator, term));
  }
  return forward.undivided = accumulate(numerators);
}

}  // namespace lacuna
