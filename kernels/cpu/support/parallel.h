// How the CPU's kernels share work among the threads of a rank: contiguous parts of equal size, the
// same for a given number of threads, so that sums over parts repeat bit for bit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/support/context.h"

namespace lacuna::cpu {

// A parallel region costs some 10 us to enter and leave when threads sleep between regions. Work
// below this many bytes (about as long) is not shared.
inline constexpr int64_t grain_bytes = int64_t{128} << 10;

inline int threads_of(const Call& call) {
  return static_cast<const CpuContext&>(call.context).threads();
}

// The number of items, at `bytes` each, that are worth a part of their own.
inline int64_t grain_of(int64_t bytes) {
  return std::max<int64_t>(1, grain_bytes / std::max<int64_t>(1, bytes));
}

inline int parts_of(int threads, int64_t items, int64_t grain) {
  return static_cast<int>(std::clamp<int64_t>(items / std::max<int64_t>(1, grain), 1, threads));
}

// Where part `part` of `parts` begins; part `parts` begins at the end.
inline int64_t part_begin(int64_t items, int part, int parts) {
  return items / parts * part + std::min<int64_t>(part, items % parts);
}

// body(part) for each part; the calling thread alone does a single one.
template <typename Body>
void for_parts(int parts, const Body& body) {
  if (parts == 1) {
    body(0);
    return;
  }
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; ++part) body(part);
}

// body(begin, end) over parts of [0, items).
template <typename Body>
void for_ranges(int threads, int64_t items, int64_t grain, const Body& body) {
  const int parts = parts_of(threads, items, grain);
  for_parts(parts, [&](int part) {
    body(part_begin(items, part, parts), part_begin(items, part + 1, parts));
  });
}

// The elements of several tensors laid end to end and cut into `parts` pieces of equal size:
// body(tensor, begin, end) for each stretch of a tensor in this part.
template <typename Body>
void for_stretches(std::span<const int64_t> counts, int part, int parts, const Body& body) {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  const int64_t begin = part_begin(total, part, parts);
  const int64_t end = part_begin(total, part + 1, parts);
  int64_t first = 0;
  for (size_t tensor = 0; tensor < counts.size() && first < end; ++tensor) {
    const int64_t from = std::max(begin - first, int64_t{0});
    const int64_t to = std::min(end - first, counts[tensor]);
    if (from < to) body(tensor, from, to);
    first += counts[tensor];
  }
}

inline std::vector<int64_t> counts_of(std::span<const View> views) {
  std::vector<int64_t> counts;
  counts.reserve(views.size());
  for (const View& view : views) counts.push_back(view.count());
  return counts;
}

inline int64_t total_of(std::span<const int64_t> counts) {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  return total;
}

}  // namespace lacuna::cpu
