// Multinomial logistic regression on fixed features, by L-BFGS (Liu, Nocedal 1989)
// over all training rows at once; deterministic.
#pragma once

#include "backend/device.h"
#include "comm/communicator.h"
#include "graph/executor.h"
#include "tasks/features.h"

namespace lacuna {

// Minimises mean cross entropy + l2 / 2 |W|^2 (biases are free). Rows are shared among the ranks.
// Features should be standardised.
struct LinearClassifier {
  HostTensor weight;  // f32 [K, D]
  HostTensor bias;    // f32 [K]
  int iterations = 0;
  double loss = 0;
};
LinearClassifier fit_logistic_regression(const Features& train, int64_t classes, double l2,
                                         Device& device, Communicator& communicator);

// [n, K] f32 of features f32 [n, D], computed in `dtype`, the device's for parameters.
HostTensor logits(const LinearClassifier& classifier, const HostTensor& features, DType dtype,
                  Executor& executor);

}  // namespace lacuna
