// Which values of a data set are 0 and 1, and the mean and spread of its channels: what a run finds
// out before its first step, and stores. Every result is the same for any number of ranks and
// threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "data/files/dataset.h"
#include "data/values/interpretation.h"

namespace lacuna {

struct Range {
  double low = 0, high = 1;
};

// How the blocks are read that a result is found from.
struct ScanOptions {
  uint64_t seed = 0;
  int threads = 1;
  int64_t buffer = int64_t{1} << 28;  // bytes of decoded blocks at a time
  int64_t most_bytes =
      int64_t{4} << 30;  // of decoded blocks over all ranks, drawn by the seed; 0: all
};

// The range of the field's type; only for unsigned integers.
Range type_range(DType dtype);

// The values below which `percentiles` (low, high; in percent) of the values lie, interpolated
// linearly, of about a million values drawn by the seed. Collective. bad_input when both are the
// same value.
Range percentile_range(const Dataset& dataset, int field, std::array<double, 2> percentiles,
                       ScanOptions options, Communicator& communicator);

// The same of all values and of those of each channel, of which one without two values gets a range
// about it.
struct FoundRanges {
  Range all;
  std::vector<Range> channels = {};
  std::vector<bool> varies = {};  // of each channel
  // Whether a channel that varies would use less than a hundredth of the range of all.
  bool unlike() const;
};
FoundRanges percentile_ranges(const Dataset& dataset, int field,
                              const Interpretation& interpretation,
                              std::array<double, 2> percentiles, ScanOptions options,
                              Communicator& communicator);

// Of each channel of the interpreted values, so in units of [0, 1].
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> std;             // 1 for a channel that does not vary
  int64_t samples = 0;                 // that they were found from
  double missing = 0;                  // share of the values, which count nowhere
  std::vector<int64_t> constant = {};  // channels that do not vary
  int64_t flat_samples = 0;  // samples of one value; not counted where they are several rows
};

// Sums in double for each block, merged in the order of blocks by Chan's formula ("Updating
// formulae and a pairwise algorithm for computing sample variances", 1979). Collective.
ChannelStatistics channel_statistics(const Dataset& dataset, int field,
                                     const Interpretation& interpretation, ScanOptions options,
                                     Communicator& communicator);

}  // namespace lacuna
