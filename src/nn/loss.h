// Losses and figures over counts that differ from rank to rank and from batch to batch: tokens that
// are masked, boxes, characters of a transcript.
#pragma once

#include <vector>

#include "graph/forward_context.h"

namespace lacuna {

// One mean: what this rank sums over its elements, and how many (or which weight) they are.
struct LossTerm {
  Tensor numerator;    // P [], or f64 []; 0 where the denominator is
  Tensor denominator;  // f64 or P [], not below 0, such as squared_norm({mask}); no gradient flows
  Tensor weight = {};  // f64 or P [] (ForwardContext::value, so that it may change); undefined: 1
};

// This rank's share, [] of the numerators' dtype, of
//
//   sum over terms of  weight (sum over ranks of numerator) / (sum over ranks of denominator),
//
// of which a term without any element counts as 0. The denominators travel as one message. Each
// rank's share divides by the counts of all, so gradients are those of the mean over the global
// batch: not of the mean of the ranks' means, which weighs elements of ranks with few more.
//
// For figures to watch: where a batch is taken in parts, the mean over the parts of theirs.
// A loss over rows needs none of this: ForwardContext::global_rows() is known. What does not fit is
// a broken rule of the caller.
Tensor share_of_means(const std::vector<LossTerm>& terms, ForwardContext& forward);

// The same for a loss. Where gradients are accumulated over parts of the batch, whose counts are
// not known at the first, and all terms have one denominator, the sum of numerators is returned,
// for the trainer to divide the gradients of all parts by the count of all; this must be the whole
// loss. Of more denominators, or as a part of a loss, the trainer refuses it in parts.
Tensor loss_of_means(const std::vector<LossTerm>& terms, ForwardContext& forward);

}  // namespace lacuna
