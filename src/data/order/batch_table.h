// BatchTable: how many rows of each stream a step takes, and from which step on. With it a step
// gives the position of every stream, so that a checkpoint stores the two, and the batch may change
// from a step on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace lacuna {

class BatchTable {
 public:
  // From its first step on, to the first step of the next entry.
  struct Entry {
    int64_t first_step = 0;
    std::vector<int64_t> rows;  // of each stream, over all ranks; the first stream's is train.batch
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  BatchTable() = default;
  // The same rows from step 0 on.
  static BatchTable constant(std::vector<int64_t> rows) {
    return BatchTable(std::vector<Entry>{{0, std::move(rows)}});
  }
  // std::out_of_range unless the steps grow from 0 on, and every entry has as many streams and of
  // each 1 to 2^31 rows.
  explicit BatchTable(std::vector<Entry> entries);

  // These rows from this step on; what was to come is forgotten.
  void change(int64_t first_step, const std::vector<int64_t>& rows);

  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }
  // Of a step.
  const std::vector<int64_t>& rows(int64_t step) const;
  // How many samples of a stream were taken before this step.
  int64_t position(int64_t step, size_t stream = 0) const;
  // The steps from the first on that take at most so many samples of the first stream.
  int64_t steps_within(int64_t samples) const;

  friend bool operator==(const BatchTable&, const BatchTable&) = default;

 private:
  std::vector<Entry> entries_;
};

}  // namespace lacuna
