// Operations over all ranks. Every rank records the same ones in the same order; sums are made in
// rank order, so that results are the same on every rank and from run to run. With a communicator
// of one rank they record nothing and return their operands. Lost ranks: see comm/communicator.h.
//
// Gradients follow the convention that the loss is the SUM of the ranks' shares: what a rank's
// tensor contributes to other ranks' shares comes back to it as the sum of their gradients.
#pragma once

#include <vector>

#include "graph/forward_context.h"
#include "graph/tensor.h"

namespace lacuna {

// x [n, ..] of each rank one below the other, in rank order: [sum of rows, ..], any dtype; rows[r]
// is what rank r holds (0 is allowed), rows[rank] = n. Gradient: reduce_scatter_sum of dy (bf16 is
// summed in f32).
Tensor all_gather(const Tensor& x, Communicator& communicator, const std::vector<int64_t>& rows);

// The sum over ranks of their x [sum of rows, ..], of which this rank gets its rows: [n, ..]. f64
// or f32. Gradient: all_gather.
Tensor reduce_scatter_sum(const Tensor& x, Communicator& communicator,
                          const std::vector<int64_t>& rows);

// The sum over ranks of x [..], the same on every rank; f64, f32 or i64. Every rank's share of the
// loss may depend on it, so its gradient is the all_reduce_sum of the ranks' gradients. (If a rank
// computes the whole loss from it instead of its share, that loss counts as many times as there are
// ranks.)
Tensor all_reduce_sum(const Tensor& x, Communicator& communicator);

// The same for each of `x` (one dtype, f64 or f32), as one message: one node with as many outputs.
// The tensors travel in one packed buffer, which belongs to the collective until it arrives. For
// gradients of parameters; not differentiable itself.
std::vector<Tensor> all_reduce_bucket(const std::vector<Tensor>& x, Communicator& communicator);

// This rank's slice [count] (slice_begin) of each of those sums, as one message: what a rank needs
// that updates its slice of every parameter. Not differentiable.
std::vector<Tensor> scatter_sums(const std::vector<Tensor>& x, Communicator& communicator);

// The change of State that completes tensors of which each rank has changed its slice. As one
// message.
Update gather_slices(const std::vector<State*>& states, Communicator& communicator);

// The change of State that makes a tensor the sum over ranks of theirs.
Update sum_over_ranks(State& state, Communicator& communicator);

extern const Operation all_gather_operation;
extern const Operation reduce_scatter_sum_operation;
extern const Operation all_reduce_sum_operation;
extern const Operation all_reduce_bucket_operation;
extern const Operation scatter_sums_operation;
extern const Operation gather_slices_operation;

}  // namespace lacuna
