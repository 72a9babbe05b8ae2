// The task "ridge": real values, by ridge regression (Hoerl, Kennard 1970) on fixed
// representations, each feature of which is brought to mean 0 and deviation 1 first.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> ridge_keys();
std::unique_ptr<ProbeTask> make_ridge(const TaskParts& parts);

// y = x weight^T + bias.
struct LinearModel {
  std::vector<double> weight;  // [T, D]
  std::vector<double> bias;    // [T]
};

// For each l2, the minimum of the mean over the N rows of |x W^T + b - y|^2, plus l2 |W|^2 (b is
// free): W^T = (X^T X / N + l2 1)^-1 X^T Y / N about the means, by a Cholesky factorisation; all in
// double. x f32 [N, D], y [N, T]. Collective: the ranks, which hold all rows each, share the sums
// over them. Where the matrix is not positive definite (l2 = 0 and fewer rows than features), the
// directions that the rows say nothing of get the weight 0.
std::vector<LinearModel> fit_ridge(const HostTensor& x, const std::vector<double>& y, int64_t width,
                                   std::span<const double> l2, Communicator& communicator);

}  // namespace lacuna
