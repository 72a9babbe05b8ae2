// Weighted k-nearest-neighbour classification of representations (Wu et al. 2018, "Unsupervised
// feature learning via non-parametric instance discrimination"): the k training samples of largest
// cosine similarity s vote with weight exp(s / 0.07).
#pragma once

#include "backend/device.h"
#include "comm/communicator.h"
#include "tasks/features.h"

namespace lacuna {

// For each k, the predicted label of every row of `queries`. Queries are shared among the ranks;
// every rank holds all of both and receives all predictions.
std::vector<std::vector<int64_t>> knn_predict(const Features& train, const Features& queries,
                                              const std::vector<int64_t>& k, Device& device,
                                              Communicator& communicator);

struct KnnResult {
  int64_t k = 0;
  double held_out_accuracy = 0;
  double test_accuracy = 0;
};

// Chooses k on a held-out fifth of the training labels, then predicts the test rows from all.
KnnResult knn(const Features& train, const Features& test, const std::vector<int64_t>& candidates,
              uint64_t seed, Device& device, Communicator& communicator);

}  // namespace lacuna
