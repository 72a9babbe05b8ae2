// Sampler: which samples a batch holds, and in what order; no I/O. The loader knows samplers by
// this interface alone.
//
// A position is the number of samples that all ranks together have consumed since the start of a
// run; it follows from the step and the sizes of batches (data/order/batch_table.h). Of batches of
// size B batch k is the positions [kB, (k+1)B).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace lacuna {

// One sample of a batch.
struct Item {
  int64_t sample = 0;  // index in the data set, over all files in their stored order
  int64_t block = 0;   // the block (rows that are read together) that holds it
  int64_t epoch = 0;
  int64_t window = 0;  // number of the lane's shuffle window; grows; blocks of earlier windows of
                       // this lane and epoch are not needed again
  int32_t lane = 0;
  int32_t row = 0;  // place in the global batch, 0 <= row < count; no two ranks share one
};

class Sampler {
 public:
  static constexpr int64_t no_end = std::numeric_limits<int64_t>::max();

  virtual ~Sampler() = default;
  // Samples of one epoch.
  virtual int64_t samples() const = 0;
  // Positions that exist: samples() for a single pass, no_end for training.
  virtual int64_t end() const = 0;
  // What `rank` of `ranks` serves of the positions [position, position + count), by growing row.
  // The union over ranks is the same for every number of ranks (for every sampler but Sequential
  // also row by row). Not for concurrent calls: what was computed for an epoch is kept.
  virtual std::vector<Item> items(int64_t position, int64_t count, int rank, int ranks) = 0;
};

}  // namespace lacuna
