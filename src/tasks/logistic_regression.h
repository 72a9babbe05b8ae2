// Linear probe: multinomial logistic regression on fixed features, by L-BFGS (Liu, Nocedal 1989)
// over all training rows at once; deterministic.
#pragma once

#include "backend/device.h"
#include "comm/communicator.h"
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

std::vector<int64_t> predict(const LinearClassifier& classifier, const Features& features,
                             Device& device);

struct LinearResult {
  double l2 = 0;
  double held_out_accuracy = 0;
  double test_accuracy = 0;
};

// Standardises, chooses l2 on a held-out fifth of the training labels, fits all of them, tests.
LinearResult linear_probe(const Features& train, const Features& test,
                          const std::vector<double>& candidates, uint64_t seed, Device& device,
                          Communicator& communicator);

}  // namespace lacuna
