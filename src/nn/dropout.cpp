#include "nn/dropout.h"

#include "ops/elementwise.h"

namespace lacuna {

Tensor dropout(const Tensor& x, double rate, ForwardContext& forward) {
  LACUNA_CHECK(x.shape().rank() >= 1 && rate >= 0 && rate < 1, "dropout of ", x.shape(),
               " at a rate of ", rate);
  if (rate == 0 || !forward.draws()) return x;
  const double kept = 1 / (1 - rate);
  const Tensor factors = forward.per_element("dropout", Purpose::dropout, x.shape().from(1),
                                             ForwardContext::Distribution::uniform,
                                             [=](double u) { return u < rate ? 0 : kept; });
  return multiply(x, cast(factors, x.dtype()));
}

}  // namespace lacuna
