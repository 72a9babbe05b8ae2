#include "ops/sparse_rows.h"

#include <array>

#include "graph/differentiate.h"
#include "kernels/sparse_rows.h"
#include "ops/collectives.h"
#include "ops/gather.h"
#include "ops/shape.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

struct SparseTable {
  static constexpr uint64_t id = hash_name("SparseTable");
  int64_t per_row;
};

// Both are views: of the table as one sample of V tokens, whose gradient is a scatter_tokens, and
// of that gradient, so that the scattering is computed only where someone asks for the whole.
const Operation sparse_table_gradient_operation = {.name = "sparse_table_gradient",
                                                   .kind = Operation::Kind::view};

Tensors sparse_table_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& table = node->inputs[0];
  return {record_one(sparse_table_gradient_operation, {dy[0]}, {table.dtype(), table.shape()},
                     node->attributes)};
}

const Operation sparse_table_operation = {
    .name = "sparse_table", .kind = Operation::Kind::view, .gradient = sparse_table_gradient};
const Operation merge_rows_operation = {.name = "merge_rows"};

// Of the gradient by one embedding.
SparseGradient part_of(const NodePointer& node) {
  const NodePointer& scatter = node->inputs[0].node();
  LACUNA_CHECK(scatter->operation == &scatter_tokens_operation, "a table that is more than read");
  const Tensor& values = scatter->inputs[0];  // [1, K, D]
  const Tensor& rows = scatter->inputs[1];    // [1, K]
  return {reshape(rows, values.shape().slice(1, 2)), reshape(values, values.shape().from(1)),
          node->attributes.as<SparseTable>().per_row};
}

SparseGradient merged(const SparseGradient& gradient) {
  const Tensor& values = gradient.values;
  const NodePointer node =
      record(merge_rows_operation, {values, gradient.rows},
             {{DType::i64, gradient.rows.shape()}, {values.dtype(), values.shape()}});
  using Made = operands::MergeRows;
  return {Tensor(node, Made::merged_rows), Tensor(node, Made::merged_values), gradient.per_row};
}

// Of all ranks, merged.
SparseGradient of_all_ranks(const SparseGradient& part, Communicator& communicator,
                            const std::vector<int64_t>& rows) {
  std::vector<int64_t> counts;
  for (const int64_t of_rank : rows) counts.push_back(of_rank * part.per_row);
  const int64_t own = counts.at(static_cast<size_t>(communicator.rank()));
  LACUNA_CHECK(part.rows.shape()[0] == own, "a sparse embedding of ", part.rows.shape()[0],
               " ids where the batch has ", own, " on this rank");
  return merged({all_gather(part.rows, communicator, counts),
                 all_gather(part.values, communicator, counts), part.per_row});
}

void check(const char* operation, const State& table, const Tensor& rows, const State& x) {
  const Shape& whole = table.slice() ? table.slice()->whole : table.shape();
  LACUNA_CHECK(whole.rank() == 2 && x.dtype() == table.dtype() && x.shape().rank() == 2 &&
                   x.shape()[1] == whole[1] && rows.dtype() == DType::i64 &&
                   rows.shape() == Shape{x.shape()[0]},
               operation, " of \"", table.name(), "\" ", name_of(table.dtype()), " ", whole,
               " and ", name_of(x.dtype()), " ", x.shape(), " by ", name_of(rows.dtype()), " ",
               rows.shape());
}

TableRows part_of(const State& table) { return {table.slice() ? table.slice()->first : 0}; }

}  // namespace

const Operation gather_rows_operation = {.name = "gather_rows"};
const Operation write_rows_operation = {.name = "write_rows"};

Tensor sparse_embedding(const Tensor& table, const Tensor& ids) {
  LACUNA_CHECK(table.shape().rank() == 2 && table.dtype() == parameter_type(table.dtype()) &&
                   ids.shape().rank() >= 1,
               "sparse_embedding of ", name_of(ids.dtype()), " ", ids.shape(), " in ",
               name_of(table.dtype()), " ", table.shape());
  const int64_t count = ids.shape().count();
  const Tensor sample =
      record_one(sparse_table_operation, {table}, {table.dtype(), table.shape().behind(1)},
                 SparseTable{ids.shape().from(1).count()});
  const Tensor taken = gather_tokens(sample, reshape(ids, Shape{1, count}));
  std::vector<int64_t> sizes(ids.shape().sizes().begin(), ids.shape().sizes().end());
  sizes.push_back(table.shape()[1]);
  return reshape(taken, Shape(sizes));
}

std::vector<SparseGradient> sparse_parts(const Tensor& gradient) {
  if (!gradient.defined()) return {};
  const NodePointer& node = gradient.node();
  if (node->operation == &sparse_table_gradient_operation) return {part_of(node)};
  if (node->operation != &accumulate_operation) return {};
  std::vector<SparseGradient> all;
  for (const Tensor& term : node->inputs) {
    const std::vector<SparseGradient> parts = sparse_parts(term);
    if (parts.empty()) return {};
    all.insert(all.end(), parts.begin(), parts.end());
  }
  return all;
}

SparseGradient summed(const std::vector<SparseGradient>& parts, Communicator& communicator,
                      const std::vector<int64_t>& rows) {
  LACUNA_CHECK(!parts.empty());
  Tensors all_rows, all_values;
  int64_t per_row = 0;
  for (const SparseGradient& part : parts) {
    const SparseGradient of_all = of_all_ranks(part, communicator, rows);
    all_rows.push_back(of_all.rows);
    all_values.push_back(of_all.values);
    per_row += part.per_row;
  }
  const SparseGradient sum = {concatenate(all_rows), concatenate(all_values), per_row};
  return parts.size() == 1 ? sum : merged(sum);
}

Update gather_rows(const State& table, const Tensor& rows, State& to) {
  check("gather_rows", table, rows, to);
  return {&gather_rows_operation, {table.tensor(), rows}, {&to}, part_of(table)};
}

Update write_rows(const State& x, const Tensor& rows, State& table) {
  check("write_rows", table, rows, x);
  return {&write_rows_operation, {x.tensor(), rows}, {&table}, part_of(table)};
}

std::span<const Operation* const> sparse_rows_operations() {
  static constexpr std::array all = {
      &sparse_table_operation, &sparse_table_gradient_operation,
      &merge_rows_operation,   &gather_rows_operation,
      &write_rows_operation,
  };
  return all;
}

}  // namespace lacuna
