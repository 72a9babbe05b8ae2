// Order: the order of samples in training; a pure function of (seed, epoch, lanes, window) and of
// the blocks of the data set, never of the number of ranks.
//
// An epoch's blocks are permuted and dealt to V lanes, each to the lane with the fewest samples so
// far. A lane goes through its blocks in windows of `window` blocks; the samples of a window are
// permuted. Sample j of the n_v samples of lane v has the time (j + phase_v) / n_v, and the epoch
// is all samples by time: so every batch draws from all lanes in proportion to what is left in
// them, and any position is found without going through those before it. Lanes of equal n_v have
// evenly spaced phases, so that they take turns. After the last sample of an epoch the next epoch
// follows, within a batch too.
//
// Where ranks divide lanes, rank v mod R serves lane v as a whole. Otherwise the lanes stand in a
// line, such that lanes which take turns stand far apart (place g v mod V, g / V near the golden
// section), and rank r serves those from rV/R to (r+1)V/R, fractions of a lane by position in it;
// such a lane's blocks are read by each rank that shares it.
//
// With `constant_shares` rank r serves the rows from rB/R to (r+1)B/R of each batch of B, so that
// it always holds as many, and reads what it has a row of: for small blocks all ranks read little
// twice, for large ones each reads nearly all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/order/sampler.h"

namespace lacuna {

struct OrderSpec {
  std::vector<int64_t> block_samples;  // samples of each block; blocks follow one another
  std::vector<int64_t> subset;  // if not empty: ascending indices of the samples that take part
  int64_t lanes = 1;
  int64_t window = 1;  // blocks
  uint64_t seed = 0;
  bool constant_shares = false;
};

class Order : public Sampler {
 public:
  explicit Order(OrderSpec spec);

  int64_t samples() const override { return samples_; }
  int64_t end() const override { return no_end; }
  std::vector<Item> items(int64_t position, int64_t count, int rank, int ranks) override;

  // How many samples each rank serves of the positions [position, position + count).
  std::vector<int64_t> counts(int64_t position, int64_t count, int ranks);

 private:
  struct Lane {
    std::vector<int64_t> blocks;        // in the order of reading
    std::vector<int64_t> window_first;  // first sample of each window, and the end
    int64_t samples = 0;
    uint64_t phase = 0;  // in 2^-32 of a sample's time
    // The permutation of the window that was used last.
    int64_t shuffled = -1;
    std::vector<uint32_t> order;     // place in the window -> sample counted from its first block
    std::vector<int64_t> block_end;  // samples of the window up to the end of each of its blocks
  };
  struct Epoch {
    int64_t number = -1;
    std::vector<Lane> lanes;
  };
  struct Slot {  // one position, before it is looked up
    uint64_t time;
    int32_t lane;
    int64_t index;  // in the lane
  };

  const Epoch& deal(int64_t number);
  void set_phases(Epoch& epoch) const;
  // How many samples of each lane lie before `position` of the epoch.
  std::vector<int64_t> consumed(const Epoch& epoch, int64_t position) const;
  std::vector<Slot> slots(const Epoch& epoch, int64_t first, int64_t last) const;
  void shuffle(const Epoch& epoch, Lane& lane, int32_t number, int64_t window) const;
  Item look_up(Epoch& epoch, const Slot& slot) const;
  int rank_of(const Slot& slot, int ranks) const;

  OrderSpec spec_;
  std::vector<int64_t> block_first_;   // first sample (of the subset) of each block
  std::vector<int64_t> block_counts_;  // samples (of the subset) of each block
  int64_t samples_ = 0;
  int64_t spread_ = 1;           // g, coprime to the lanes
  std::array<Epoch, 2> epochs_;  // by number mod 2
};

// Samples [first, end) of a data set.
struct SampleRange {
  int64_t first = 0, end = 0;
  friend bool operator==(const SampleRange&, const SampleRange&) = default;
};

// One pass in the order of the data set, over all samples or those of some ranges. Of N samples
// rank r serves the contiguous share [rN/R, (r+1)N/R); all ranks go through theirs at the same
// pace.
class Sequential : public Sampler {
 public:
  // The ranges are ascending, apart and not empty; none of them: all samples.
  explicit Sequential(const std::vector<int64_t>& block_samples,
                      std::vector<SampleRange> ranges = {});
  int64_t samples() const override { return samples_; }
  int64_t end() const override { return samples_; }
  std::vector<Item> items(int64_t position, int64_t count, int rank, int ranks) override;

  // What is left to a pass of so many ranks at this position.
  std::vector<SampleRange> rest(int64_t position, int ranks) const;

 private:
  int64_t share(int rank, int ranks) const;                 // its first sample, counted in the pass
  int64_t at(int rank, int ranks, int64_t position) const;  // where the rank is then

  std::vector<int64_t> block_end_;
  std::vector<SampleRange> ranges_;
  std::vector<int64_t> range_first_;  // samples of the ranges before each
  int64_t samples_ = 0;
};

// Lanes and window where the configuration leaves them open. block_bytes: the largest decoded
// block; buffer: data.buffer.
struct LaneLayout {
  int64_t lanes = 1;
  int64_t window = 1;
};
LaneLayout choose_lanes(int64_t batch, int64_t blocks, int64_t block_bytes, int64_t buffer,
                        int64_t lanes = 0, int64_t window = 0);

// What a number of ranks costs: bytes read over bytes of the data, of shared lanes; and how many
// more samples the fullest rank has than the mean, over the batches of an epoch (a sample of them).
struct OrderCost {
  double read_amplification = 1;
  double imbalance = 0;
};
OrderCost order_cost(const OrderSpec& spec, int64_t batch, int ranks);

}  // namespace lacuna
