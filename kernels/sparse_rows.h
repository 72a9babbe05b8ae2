// Gradients of tables as (rows, values), of which a batch touches a few rows, and the updates of
// these rows alone. P: the parameter type; I: i32 or i64. A negative row is none.
//
//   merge_rows
//     in   values P [K, D], rows I [K]
//     out  rows i64 [K], values P [K, D]: the sum of the values of each row, in the order of k and
//          in P or better, where it stands first; elsewhere -1 and zeros
//   gather_rows (an update)                                              (TableRows)
//     in   table P [n elements], rows i64 [K]
//     targets  x P [K, D]: the rows of the table, zeros for a negative one
//   write_rows (an update)                                               (TableRows)
//     in   x P [K, D], rows i64 [K], none of them twice
//     targets  table P [n elements]: its rows become those of x
//
// A table [V, D] may be a slice of its elements, from `first` on: then an element of a row that
// lies outside is read as 0, and not written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct TableRows {
  static constexpr uint64_t id = hash_name("TableRows");
  int64_t first;  // element of the whole table where its part begins

  struct Columns {
    int64_t begin, end;
  };
  // Of a row of `features`, the columns that lie in the part of `count` elements.
  constexpr Columns columns(int64_t row, int64_t features, int64_t count) const {
    if (row < 0) return {0, 0};
    const int64_t before = first - row * features;
    const int64_t begin = before < 0 ? 0 : before < features ? before : features;
    const int64_t until = before + count;
    const int64_t end = until < begin ? begin : until < features ? until : features;
    return {begin, end};
  }
};

namespace operands {

struct MergeRows {
  enum : size_t { values, rows };
  enum : size_t { merged_rows, merged_values };
};

struct GatherRows {
  enum : size_t { table, rows };
  enum : size_t { x };
};

struct WriteRows {
  enum : size_t { x, rows };
  enum : size_t { table };
};

}  // namespace operands

}  // namespace lacuna
