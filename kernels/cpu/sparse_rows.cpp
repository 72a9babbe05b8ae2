// Rows of tables: bound by memory, of which they touch K rows whatever the table has. Rows are
// merged by sorting the places of each, K log K comparisons; each sum has one order, in double.
#include "kernels/sparse_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

std::vector<int64_t> numbers_of(const View& rows) {
  std::vector<int64_t> all(static_cast<size_t>(rows.count()));
  if (rows.dtype == DType::i32) {
    std::copy_n(rows.as<int32_t>(), all.size(), all.begin());
  } else {
    std::copy_n(rows.as<int64_t>(), all.size(), all.begin());
  }
  return all;
}

// The places 0, 1, … of the rows, those of one row side by side and in their order.
std::vector<size_t> sorted_places(const std::vector<int64_t>& rows) {
  std::vector<size_t> places(rows.size());
  std::iota(places.begin(), places.end(), size_t{0});
  std::sort(places.begin(), places.end(),
            [&](size_t a, size_t b) { return rows[a] != rows[b] ? rows[a] < rows[b] : a < b; });
  return places;
}

// Where each row's places begin among the sorted ones, but for negative rows; and the end.
std::vector<size_t> begins_of(const std::vector<int64_t>& rows, const std::vector<size_t>& places) {
  std::vector<size_t> begins;
  for (size_t i = 0; i < places.size(); ++i) {
    const int64_t row = rows[places[i]];
    if (row >= 0 && (i == 0 || rows[places[i - 1]] != row)) begins.push_back(i);
  }
  begins.push_back(places.size());
  return begins;
}

void merge_rows(const Call& call) {
  using Operand = operands::MergeRows;
  const View& values = call.in[Operand::values];
  const auto features = static_cast<size_t>(values.shape[1]);
  const float* x = values.as<float>();
  int64_t* merged_rows = call.out[Operand::merged_rows].as<int64_t>();
  float* merged = call.out[Operand::merged_values].as<float>();
  const std::vector<int64_t> rows = numbers_of(call.in[Operand::rows]);
  const std::vector<size_t> places = sorted_places(rows);
  const std::vector<size_t> begins = begins_of(rows, places);
  std::fill_n(merged_rows, rows.size(), -1);
  std::fill_n(merged, values.count(), 0.0f);
  const auto count = static_cast<int64_t>(begins.size()) - 1;
  for_ranges(threads_of(call), count, grain_of(values.shape[1] * 8), [&](int64_t from, int64_t to) {
    std::vector<double> sums(features);
    for (auto group = static_cast<size_t>(from); group < static_cast<size_t>(to); ++group) {
      const size_t first = places[begins[group]];
      std::ranges::fill(sums, 0.0);
      for (size_t i = begins[group]; i < begins[group + 1]; ++i) {
        for (size_t d = 0; d < features; ++d) sums[d] += double{x[places[i] * features + d]};
      }
      merged_rows[first] = rows[first];
      for (size_t d = 0; d < features; ++d)
        merged[first * features + d] = static_cast<float>(sums[d]);
    }
  });
}

// body(row of x, where its columns lie in the table, which columns) for each of [begin, end).
template <typename Body>
void for_rows(const Call& call, const View& x, const View& rows, int64_t elements,
              const Body& body) {
  const int64_t features = x.shape[1];
  const auto part = call.attributes.as<TableRows>();
  for_ranges(threads_of(call), x.shape[0], grain_of(8 * features), [&](int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) {
      const int64_t row = rows.as<int64_t>()[k];
      const TableRows::Columns columns = part.columns(row, features, elements);
      body(x.as<float>() + k * features, row * features - part.first, columns);
    }
  });
}

void gather_rows(const Call& call) {
  using Operand = operands::GatherRows;
  const View& table = call.in[Operand::table];
  const View& x = call.out[Operand::x];
  const int64_t features = x.shape[1];
  for_rows(call, x, call.in[Operand::rows], table.count(),
           [&](float* to, int64_t at, TableRows::Columns columns) {
             std::fill_n(to, features, 0.0f);
             for (int64_t d = columns.begin; d < columns.end; ++d)
               to[d] = table.as<float>()[at + d];
           });
}

void write_rows(const Call& call) {
  using Operand = operands::WriteRows;
  const View& table = call.out[Operand::table];
  for_rows(call, call.in[Operand::x], call.in[Operand::rows], table.count(),
           [&](const float* from, int64_t at, TableRows::Columns columns) {
             for (int64_t d = columns.begin; d < columns.end; ++d)
               table.as<float>()[at + d] = from[d];
           });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_rows", {f32}, merge_rows},
    KernelEntry{"gather_rows", {f32}, gather_rows},
    KernelEntry{"write_rows", {f32}, write_rows},
};

}  // namespace

std::span<const KernelEntry> sparse_rows_kernels() { return table; }

}  // namespace lacuna::cpu
