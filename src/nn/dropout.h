// Dropout (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
// overfitting").
#pragma once

#include "graph/forward_context.h"

namespace lacuna {

// x F [B, ..], B the rows of this rank: in training each element is 0 with probability `rate`, else
// divided by 1 - rate; elsewhere x itself. Which ones is a function of (seed, epoch, sample; view;
// call; element), never of a row's place in the batch (ForwardContext::per_element). Drawn on the
// host and sent with the batch. 0 <= rate < 1.
Tensor dropout(const Tensor& x, double rate, ForwardContext& forward);

}  // namespace lacuna
