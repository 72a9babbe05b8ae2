// Gradients of tables of which a batch touches a few rows (embeddings) as (rows, values), and the
// updates of these rows alone: nothing that is done once a step grows with the table.
// Deterministic. What does not fit is a broken precondition.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/forward_context.h"
#include "graph/state.h"
#include "graph/tensor.h"

namespace lacuna {

// table P [V, D], ids i32 or i64 [B, ..], B the rows of this rank, below V -> [B, .., D]: the row
// of each id, zeros for a negative one, as embedding() gives it. The gradient of the table is a
// tensor [V, D] that sparse_parts() takes apart; whoever computes it instead gets the dense one.
Tensor sparse_embedding(const Tensor& table, const Tensor& ids);

// The gradient of a table by one sparse_embedding().
struct SparseGradient {
  Tensor rows;          // i32 or i64 [K]; negative: none
  Tensor values;        // P [K, D]
  int64_t per_row = 1;  // of them belong to each row of the batch
};

// What a gradient is the sum of, if nothing but sparse embeddings contribute to it; else none, and
// it is dense (a table that is the output's weight as well).
std::vector<SparseGradient> sparse_parts(const Tensor& gradient);

// The sum over parts and ranks: rows i64 [K of all ranks], each once and negative elsewhere, values
// [K of all ranks, D], the same on every rank. Sums in rank order. `rows` as of Recording. They
// travel by an all_gather for each part and each of rows and values.
SparseGradient summed(const std::vector<SparseGradient>& parts, Communicator& communicator,
                      const std::vector<int64_t>& rows);

// Changes of State. `to` P [K, D] becomes the rows i64 [K] of a table P [V, D], or of this rank's
// slice of it, of which other elements are read as 0; zeros for a negative row.
Update gather_rows(const State& table, const Tensor& rows, State& to);
// The rows of a table, or those of their elements that lie in this rank's slice of it, become those
// of x P [K, D]. No row twice.
Update write_rows(const State& x, const Tensor& rows, State& table);

extern const Operation gather_rows_operation;
extern const Operation write_rows_operation;

}  // namespace lacuna
