// A table of vectors, one for each id.
#pragma once

#include <cstdint>

#include "graph/recording.h"
#include "nn/scope.h"

namespace lacuna {

// ids i32 or i64 [..], below `count` -> [.., features] of the type of activations: rows of a
// weight [count, features] from N(0, deviation^2); zeros for a negative id, such as padding.
class Embedding {
 public:
  Embedding(Scope scope, int64_t count, int64_t features, double deviation = 1);
  Tensor operator()(const Tensor& ids, Recording& recording) const;

 private:
  State& weight_;
};

}  // namespace lacuna
