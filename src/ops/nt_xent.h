// NT-Xent, the normalised temperature-scaled cross entropy (Chen, Kornblith, Norouzi, Hinton 2020,
// "A Simple Framework for Contrastive Learning of Visual Representations", eq. 1).
//
// Of the global batch of G samples, two views each, this rank holds B rows:
//
//   loss = 1 / (2G)  sum over this rank's rows i of both views of
//            -log( exp(z_i . z_pair(i) / t) / sum over the other 2G - 1 rows j of exp(z_i . z_j /
//            t) )
//
// so that the sum of the ranks' losses is the mean over all 2G rows.
#pragma once

#include <cstdint>

#include "graph/tensor.h"

namespace lacuna {

// z0, z1 [B, D]: this rank's rows of view 0 and 1, of unit length (see normalize). all0, all1 [G,
// D]: those of all ranks (all_gather), among which this rank's begin at first_row i64 [], a value
// of the step (ForwardContext::first_row), since ranks may hold other numbers of rows in each. All
// z of one float dtype; bf16 is cast to f32 first. Returns P []; sums in double. Gradients flow to
// all four; all_gather brings those of all0 and all1 home. Keeps the operands and the rows'
// log-sum-exp. Deterministic. A temperature that is not above 0, or shapes that do not fit, are a
// broken rule of the caller.
Tensor nt_xent(const Tensor& z0, const Tensor& z1, const Tensor& all0, const Tensor& all1,
               double temperature, const Tensor& first_row);

extern const Operation nt_xent_operation;
extern const Operation nt_xent_gradient_operation;

}  // namespace lacuna
