// The same computation on one rank and on several: threads of this process, each with its rows.
#pragma once

#include <functional>
#include <vector>

#include "ops/case.h"

namespace lacuna::test::ops {

struct Shard {
  Communicator& communicator;
  std::vector<int64_t> rows_of_ranks;
  Tensor first_row;                // where this rank's begin: i64 []
  std::vector<Tensor> rows;        // this rank's rows of each row operand
  std::vector<Tensor> parameters;  // the same on every rank
};

struct ShardedModel {
  std::vector<Operand> rows;  // of the global batch: [G, ..]
  std::vector<Operand> parameters;
  std::function<Tensor(const Shard&)> loss;  // this rank's share
};

// On as many ranks as `rows` has entries, on the reference device: the loss (sum of shares), the
// gradients of the parameters (summed over ranks by all_reduce_bucket; a rank with other sums than
// rank 0 is a failure), and those of each differentiable row operand, of the global batch.
std::vector<std::vector<double>> sharded(const ShardedModel& model,
                                         const std::vector<int64_t>& rows);

}  // namespace lacuna::test::ops
