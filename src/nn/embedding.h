// A table of vectors, one for each id.
#pragma once

#include <cstdint>

#include "graph/forward_context.h"
#include "nn/scope.h"

namespace lacuna {

// ids i32 or i64 [..], below `count` -> [.., features] of the type of activations: rows of a
// weight [count, features] from N(0, deviation^2); zeros for a negative id, such as padding.
//
// With `sparse`, ids are [B, ..], B the rows of this rank, and a step costs no more the larger the
// table is: the optimizer changes only the rows that the global batch touches, by their gradients
// (train/optimizer.h), and never by weight decay.
class Embedding {
 public:
  Embedding(Scope scope, int64_t count, int64_t features, double deviation = 1,
            bool sparse = false);
  Tensor operator()(const Tensor& ids, ForwardContext& forward) const;

 private:
  State& weight_;
  bool sparse_;
};

}  // namespace lacuna
