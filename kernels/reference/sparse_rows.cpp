#include "kernels/sparse_rows.h"

#include <algorithm>
#include <array>
#include <map>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void merge_rows(const Call& call) {
  using Operand = operands::MergeRows;
  const View& values = call.in[Operand::values];
  const View& rows = call.in[Operand::rows];
  const int64_t features = values.shape[1];
  int64_t* merged_rows = call.out[Operand::merged_rows].as<int64_t>();
  double* merged = call.out[Operand::merged_values].as<double>();
  std::fill_n(merged, values.count(), 0.0);
  std::map<int64_t, int64_t> first;  // row -> the k where it stands first
  for (int64_t k = 0; k < rows.count(); ++k) {
    const int64_t row = rows.dtype == DType::i32 ? rows.as<int32_t>()[k] : rows.as<int64_t>()[k];
    merged_rows[k] = -1;
    if (row < 0) continue;
    const auto [found, is_first] = first.emplace(row, k);
    if (is_first) merged_rows[k] = row;
    for (int64_t d = 0; d < features; ++d)
      merged[found->second * features + d] += values.as<double>()[k * features + d];
  }
}

void gather_rows(const Call& call) {
  using Operand = operands::GatherRows;
  const View& table = call.in[Operand::table];
  const View& x = call.out[Operand::x];
  const int64_t features = x.shape[1];
  const auto part = call.attributes.as<TableRows>();
  std::fill_n(x.as<double>(), x.count(), 0.0);
  for (int64_t k = 0; k < x.shape[0]; ++k) {
    const int64_t row = call.in[Operand::rows].as<int64_t>()[k];
    const auto [begin, end] = part.columns(row, features, table.count());
    for (int64_t d = begin; d < end; ++d)
      x.as<double>()[k * features + d] = table.as<double>()[row * features + d - part.first];
  }
}

void write_rows(const Call& call) {
  using Operand = operands::WriteRows;
  const View& x = call.in[Operand::x];
  const View& table = call.out[Operand::table];
  const int64_t features = x.shape[1];
  const auto part = call.attributes.as<TableRows>();
  for (int64_t k = 0; k < x.shape[0]; ++k) {
    const int64_t row = call.in[Operand::rows].as<int64_t>()[k];
    const auto [begin, end] = part.columns(row, features, table.count());
    for (int64_t d = begin; d < end; ++d)
      table.as<double>()[row * features + d - part.first] = x.as<double>()[k * features + d];
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_rows", {f64}, merge_rows},
    KernelEntry{"gather_rows", {f64}, gather_rows},
    KernelEntry{"write_rows", {f64}, write_rows},
};

}  // namespace

std::span<const KernelEntry> sparse_rows_kernels() { return table; }

}  // namespace lacuna::reference
