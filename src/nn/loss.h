// Losses and figures over counts that differ from rank to rank and from batch to batch: tokens that
// are masked, boxes, characters of a transcript.
#pragma once

#include <vector>

#include "graph/recording.h"

namespace lacuna {

// One mean: what this rank sums over its elements, and how many (or which weight) they are.
struct LossTerm {
  Tensor numerator;    // P [], or f64 []; 0 where the denominator is
  Tensor denominator;  // f64 or P [], not below 0, such as squared_norm({mask}); no gradient flows
  Tensor weight = {};  // f64 or P [] (Recording::value, so that it may change); undefined: 1
};

// This rank's share, [] of the numerators' dtype, of
//
//   sum over terms of  weight (sum over ranks of numerator) / (sum over ranks of denominator),
//
// of which a term without any element counts as 0. The denominators travel as one message. Each
// rank's share divides by the counts of all, so gradients are those of the mean over the global
// batch: not of the mean of the ranks' means, which weighs elements of ranks with few more.
//
// Sets Recording::divided_by_counts: a trainer that is to accumulate gradients over parts of the
// batch refuses such a loss, since the counts of the parts to come are not known at the first.
// A loss over rows needs none of this: Recording::global_rows() is known. What does not fit is a
// broken rule of the caller.
Tensor share_of_means(const std::vector<LossTerm>& terms, Recording& recording);

}  // namespace lacuna
