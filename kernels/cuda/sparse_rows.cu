// Rows of tables: K rows are touched whatever the table has. Rows are merged along chains
// (support/chains.h); a thread has one element, side by side with those of the next.
#include "kernels/sparse_rows.h"

#include <array>

#include "kernels/cuda/support/chains.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename Row>
__global__ void __launch_bounds__(block_size)
    merge_kernel(const float* values, const Row* rows, const int64_t* chain, int64_t* merged_rows,
                 float* merged, int64_t count, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t next = chain[at.row];
    if (at.column == 0) merged_rows[at.row] = next < 0 ? -1 : rows[at.row];
    merged[at.element] =
        next < 0 ? 0.f : chain_sum(values, chain, at.row, next, at.column, features);
  }
}

template <typename Row>
void merge(const Call& call) {
  using Operand = operands::MergeRows;
  const Shape& shape = call.in[Operand::values].shape;
  int64_t* chain = scratch_chain(call, shape[0]);
  launch(call, "merge_rows", shape[0], chain_kernel<Row>, input<Row>(call, Operand::rows), chain,
         shape[0], shape[0]);
  launch(call, "merge_rows", shape.count(), merge_kernel<Row>, input<float>(call, Operand::values),
         input<Row>(call, Operand::rows), chain, output<int64_t>(call, Operand::merged_rows),
         output<float>(call, Operand::merged_values), shape.count(), shape[1]);
}

void merge_rows(const Call& call) {
  if (call.in[operands::MergeRows::rows].dtype == DType::i32) return merge<int32_t>(call);
  merge<int64_t>(call);
}

__global__ void __launch_bounds__(block_size)
    gather_kernel(const float* table, const int64_t* rows, float* x, int64_t count,
                  int64_t features, TableRows part, int64_t elements) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t row = rows[at.row];
    const int64_t place = row * features + at.column - part.first;
    x[at.element] = row >= 0 && place >= 0 && place < elements ? table[place] : 0.f;
  }
}

__global__ void __launch_bounds__(block_size)
    write_kernel(const float* x, const int64_t* rows, float* table, int64_t count, int64_t features,
                 TableRows part, int64_t elements) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t row = rows[at.row];
    const int64_t place = row * features + at.column - part.first;
    if (row >= 0 && place >= 0 && place < elements) table[place] = x[at.element];
  }
}

void gather_rows(const Call& call) {
  using Operand = operands::GatherRows;
  const Shape& x = call.out[Operand::x].shape;
  launch(call, "gather_rows", x.count(), gather_kernel, input<float>(call, Operand::table),
         input<int64_t>(call, Operand::rows), output<float>(call), x.count(), x[1],
         call.attributes.as<TableRows>(), call.in[Operand::table].count());
}

void write_rows(const Call& call) {
  using Operand = operands::WriteRows;
  const Shape& x = call.in[Operand::x].shape;
  launch(call, "write_rows", x.count(), write_kernel, input<float>(call, Operand::x),
         input<int64_t>(call, Operand::rows), output<float>(call), x.count(), x[1],
         call.attributes.as<TableRows>(), call.out[Operand::table].count());
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_rows", {f32}, merge_rows},
    KernelEntry{"gather_rows", {f32}, gather_rows},
    KernelEntry{"write_rows", {f32}, write_rows},
};

}  // namespace

std::span<const KernelEntry> sparse_rows_kernels() { return table; }

}  // namespace lacuna::cuda
