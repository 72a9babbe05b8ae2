#include "data/order/order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace lacuna {

namespace {

using Wide = unsigned __int128;

// A sample's time in its epoch, (index + phase / 2^32) / samples, in units of 2^-62; below 2^62.
constexpr int phase_bits = 32;
constexpr int time_bits = 62;

uint64_t time_of(int64_t index, uint64_t phase, int64_t samples) {
  const Wide numerator = (static_cast<Wide>(index) << phase_bits) + phase;
  return static_cast<uint64_t>((numerator << (time_bits - phase_bits)) /
                               static_cast<uint64_t>(samples));
}

// How many samples of a lane have a time below `time`.
int64_t count_before(uint64_t time, uint64_t phase, int64_t samples) {
  constexpr int shift = time_bits - phase_bits;
  // floor(x 2^shift / n) >= time  <=>  x >= ceil(time n / 2^shift), with x = index 2^32 + phase.
  const Wide x =
      (static_cast<Wide>(time) * static_cast<uint64_t>(samples) + ((Wide{1} << shift) - 1)) >>
      shift;
  if (x <= phase) return 0;
  const Wide index = (x - phase + ((Wide{1} << phase_bits) - 1)) >> phase_bits;
  return std::min(static_cast<int64_t>(index), samples);
}

// The first row of a rank's constant share of a batch.
int64_t share_begin(int64_t batch, int rank, int ranks) {
  return static_cast<int64_t>(static_cast<Wide>(batch) * static_cast<unsigned>(rank) /
                              static_cast<unsigned>(ranks));
}

// A permutation of 0 .. n-1 (Fisher and Yates).
template <typename T>
std::vector<T> permutation(size_t n, const Draws& draws) {
  std::vector<T> order(n);
  std::iota(order.begin(), order.end(), T{0});
  for (size_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[draws.below(static_cast<uint32_t>(i), i)]);
  }
  return order;
}

}  // namespace

Order::Order(OrderSpec spec) : spec_(std::move(spec)) {
  LACUNA_CHECK(spec_.lanes >= 1 && spec_.window >= 1);
  spread_ = static_cast<int64_t>(0.618 * static_cast<double>(spec_.lanes)) + 1;
  while (std::gcd(spread_, spec_.lanes) != 1) ++spread_;
  int64_t first = 0;
  auto chosen = spec_.subset.begin();
  for (const int64_t count : spec_.block_samples) {
    LACUNA_CHECK(count < int64_t{1} << 32, "block of ", count, " samples");
    block_first_.push_back(samples_);
    if (spec_.subset.empty()) {
      block_counts_.push_back(count);
    } else {
      const auto end = std::lower_bound(chosen, spec_.subset.end(), first + count);
      block_counts_.push_back(end - chosen);
      chosen = end;
    }
    first += count;
    samples_ += block_counts_.back();
  }
  LACUNA_CHECK(samples_ > 0 && chosen == spec_.subset.end());
}

const Order::Epoch& Order::deal(int64_t number) {
  Epoch& epoch = epochs_[static_cast<size_t>(number % 2)];
  if (epoch.number == number) return epoch;
  epoch.number = number;
  epoch.lanes.assign(static_cast<size_t>(spec_.lanes), Lane{});

  const Draws draws(spec_.seed, Purpose::lane_order, static_cast<uint64_t>(number));
  using Filled = std::pair<int64_t, size_t>;  // samples, lane
  std::priority_queue<Filled, std::vector<Filled>, std::greater<>> emptiest;
  for (size_t v = 0; v < epoch.lanes.size(); ++v) emptiest.push({0, v});
  for (const size_t block : permutation<size_t>(block_counts_.size(), draws)) {
    if (block_counts_[block] == 0) continue;
    Lane& lane = epoch.lanes[emptiest.top().second];
    if (lane.blocks.size() % static_cast<size_t>(spec_.window) == 0) {
      lane.window_first.push_back(lane.samples);
    }
    lane.blocks.push_back(static_cast<int64_t>(block));
    lane.samples += block_counts_[block];
    const size_t v = emptiest.top().second;
    emptiest.pop();
    emptiest.push({lane.samples, v});
  }
  for (Lane& lane : epoch.lanes) lane.window_first.push_back(lane.samples);
  set_phases(epoch);
  return epoch;
}

void Order::set_phases(Epoch& epoch) const {
  std::map<int64_t, std::vector<Lane*>> equals;
  for (Lane& lane : epoch.lanes) equals[lane.samples].push_back(&lane);
  for (auto& [samples, lanes] : equals) {
    const uint64_t m = lanes.size();
    for (uint64_t k = 0; k < m; ++k) {
      lanes[k]->phase = ((2 * k + 1) << (phase_bits - 1)) / m;
    }
  }
}

std::vector<int64_t> Order::consumed(const Epoch& epoch, int64_t position) const {
  const auto total_before = [&](uint64_t time) {
    int64_t total = 0;
    for (const Lane& lane : epoch.lanes) {
      if (lane.samples > 0) total += count_before(time, lane.phase, lane.samples);
    }
    return total;
  };
  // The latest time before which at most `position` samples lie.
  uint64_t low = 0, high = uint64_t{1} << time_bits;
  while (low < high) {
    const uint64_t middle = low + (high - low + 1) / 2;
    if (total_before(middle) <= position) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  std::vector<int64_t> counts;
  int64_t rest = position;
  for (const Lane& lane : epoch.lanes) {
    counts.push_back(lane.samples > 0 ? count_before(low, lane.phase, lane.samples) : 0);
    rest -= counts.back();
  }
  // Samples of exactly that time, by lane; a lane has at most one.
  for (size_t v = 0; v < counts.size() && rest > 0; ++v) {
    const Lane& lane = epoch.lanes[v];
    if (counts[v] < lane.samples && time_of(counts[v], lane.phase, lane.samples) == low) {
      ++counts[v];
      --rest;
    }
  }
  LACUNA_CHECK(rest == 0, "position ", position, " of ", samples_);
  return counts;
}

std::vector<Order::Slot> Order::slots(const Epoch& epoch, int64_t first, int64_t last) const {
  const std::vector<int64_t> from = consumed(epoch, first);
  const std::vector<int64_t> to = consumed(epoch, last);
  std::vector<Slot> all;
  all.reserve(static_cast<size_t>(last - first));
  for (size_t v = 0; v < epoch.lanes.size(); ++v) {
    const Lane& lane = epoch.lanes[v];
    for (int64_t j = from[v]; j < to[v]; ++j) {
      all.push_back({time_of(j, lane.phase, lane.samples), static_cast<int32_t>(v), j});
    }
  }
  std::sort(all.begin(), all.end(), [](const Slot& a, const Slot& b) {
    return a.time != b.time ? a.time < b.time : a.lane < b.lane;
  });
  return all;
}

int Order::rank_of(const Slot& slot, int ranks) const {
  if (spec_.lanes % ranks == 0) return slot.lane % ranks;
  const int64_t place = slot.lane * spread_ % spec_.lanes;
  return static_cast<int>((place * ranks + slot.index % ranks) / spec_.lanes);
}

void Order::shuffle(const Epoch& epoch, Lane& lane, int32_t number, int64_t window) const {
  if (lane.shuffled == window) return;
  lane.shuffled = window;
  const size_t w = static_cast<size_t>(window);
  const int64_t count = lane.window_first[w + 1] - lane.window_first[w];
  // Subject: lane and window; an epoch has fewer than 2^40 windows.
  const uint64_t subject = (static_cast<uint64_t>(number) << 40) | static_cast<uint64_t>(window);
  const Draws draws(spec_.seed, Purpose::window_order, subject,
                    static_cast<uint32_t>(epoch.number));
  lane.order = permutation<uint32_t>(static_cast<size_t>(count), draws);
  lane.block_end.clear();
  const size_t first = w * static_cast<size_t>(spec_.window);
  const size_t last = std::min(first + static_cast<size_t>(spec_.window), lane.blocks.size());
  int64_t end = 0;
  for (size_t b = first; b < last; ++b) {
    end += block_counts_[static_cast<size_t>(lane.blocks[b])];
    lane.block_end.push_back(end);
  }
}

Item Order::look_up(Epoch& epoch, const Slot& slot) const {
  Lane& lane = epoch.lanes[static_cast<size_t>(slot.lane)];
  const auto after =
      std::upper_bound(lane.window_first.begin(), lane.window_first.end(), slot.index);
  const int64_t window = after - lane.window_first.begin() - 1;
  shuffle(epoch, lane, slot.lane, window);
  const size_t w = static_cast<size_t>(window);
  const int64_t place = lane.order[static_cast<size_t>(slot.index - lane.window_first[w])];
  const size_t b =
      static_cast<size_t>(std::upper_bound(lane.block_end.begin(), lane.block_end.end(), place) -
                          lane.block_end.begin());
  const int64_t block = lane.blocks[w * static_cast<size_t>(spec_.window) + b];
  const int64_t in_block = place - (b == 0 ? 0 : lane.block_end[b - 1]);
  const int64_t index = block_first_[static_cast<size_t>(block)] + in_block;

  Item item;
  item.sample = spec_.subset.empty() ? index : spec_.subset[static_cast<size_t>(index)];
  item.block = block;
  item.epoch = epoch.number;
  item.window = window;
  item.lane = slot.lane;
  return item;
}

std::vector<Item> Order::items(int64_t position, int64_t count, int rank, int ranks) {
  LACUNA_CHECK(position >= 0 && count >= 0 && rank >= 0 && rank < ranks);
  if (spec_.constant_shares && ranks > 1) {
    const int64_t begin = share_begin(count, rank, ranks);
    std::vector<Item> share =
        items(position + begin, share_begin(count, rank + 1, ranks) - begin, 0, 1);
    for (Item& item : share) item.row += static_cast<int32_t>(begin);
    return share;
  }
  std::vector<Item> mine;
  int64_t row = 0;
  while (row < count) {
    const int64_t number = (position + row) / samples_;
    const int64_t first = (position + row) % samples_;
    const int64_t last = std::min(samples_, first + count - row);
    deal(number);
    Epoch& epoch = epochs_[static_cast<size_t>(number % 2)];
    for (const Slot& slot : slots(epoch, first, last)) {
      if (rank_of(slot, ranks) == rank) {
        mine.push_back(look_up(epoch, slot));
        mine.back().row = static_cast<int32_t>(row);
      }
      ++row;
    }
  }
  return mine;
}

std::vector<int64_t> Order::counts(int64_t position, int64_t count, int ranks) {
  std::vector<int64_t> counts(static_cast<size_t>(ranks), 0);
  if (spec_.constant_shares) {
    for (int rank = 0; rank < ranks; ++rank)
      counts[static_cast<size_t>(rank)] =
          share_begin(count, rank + 1, ranks) - share_begin(count, rank, ranks);
    return counts;
  }
  int64_t row = 0;
  while (row < count) {
    const int64_t first = (position + row) % samples_;
    const int64_t last = std::min(samples_, first + count - row);
    for (const Slot& slot : slots(deal((position + row) / samples_), first, last)) {
      ++counts[static_cast<size_t>(rank_of(slot, ranks))];
    }
    row += last - first;
  }
  return counts;
}

Sequential::Sequential(const std::vector<int64_t>& block_samples, std::vector<SampleRange> ranges)
    : ranges_(std::move(ranges)) {
  int64_t end = 0;
  for (const int64_t count : block_samples) block_end_.push_back(end += count);
  if (ranges_.empty() && end > 0) ranges_.push_back({0, end});
  int64_t last = 0;
  for (const SampleRange& range : ranges_) {
    LACUNA_CHECK(last <= range.first && range.first < range.end && range.end <= end, "samples ",
                 range.first, " to ", range.end, " of ", end);
    range_first_.push_back(samples_);
    samples_ += range.end - range.first;
    last = range.end;
  }
}

int64_t Sequential::share(int rank, int ranks) const {
  return static_cast<int64_t>(static_cast<Wide>(samples_) * static_cast<Wide>(rank) /
                              static_cast<Wide>(ranks));
}

int64_t Sequential::at(int rank, int ranks, int64_t position) const {
  const int64_t first = share(rank, ranks);
  const auto size = static_cast<Wide>(share(rank + 1, ranks) - first);
  return first + static_cast<int64_t>(size * static_cast<Wide>(position) /
                                      static_cast<Wide>(std::max<int64_t>(samples_, 1)));
}

std::vector<Item> Sequential::items(int64_t position, int64_t count, int rank, int ranks) {
  const int64_t last_position = std::min(position + count, samples_);
  std::vector<Item> mine;
  if (position >= last_position) return mine;
  int64_t row = 0;
  for (int r = 0; r < rank; ++r) row += at(r, ranks, last_position) - at(r, ranks, position);
  const int64_t first = at(rank, ranks, position);
  size_t range = static_cast<size_t>(
      std::upper_bound(range_first_.begin(), range_first_.end(), first) - range_first_.begin() - 1);
  for (int64_t place = first; place < at(rank, ranks, last_position); ++place) {
    if (range + 1 < ranges_.size() && place == range_first_[range + 1]) ++range;
    Item item;
    item.sample = ranges_[range].first + place - range_first_[range];
    item.block =
        std::upper_bound(block_end_.begin(), block_end_.end(), item.sample) - block_end_.begin();
    item.window = item.block;
    item.row = static_cast<int32_t>(row++);
    mine.push_back(item);
  }
  return mine;
}

std::vector<SampleRange> Sequential::rest(int64_t position, int ranks) const {
  std::vector<SampleRange> left;
  const int64_t done = std::min(position, samples_);
  for (int rank = 0; rank < ranks; ++rank) {
    const int64_t from = at(rank, ranks, done), to = share(rank + 1, ranks);
    for (size_t i = 0; i < ranges_.size(); ++i) {
      const int64_t offset = ranges_[i].first - range_first_[i];
      const SampleRange piece{std::max(ranges_[i].first, from + offset),
                              std::min(ranges_[i].end, to + offset)};
      if (piece.first >= piece.end) continue;
      if (!left.empty() && left.back().end == piece.first) {
        left.back().end = piece.end;
      } else {
        left.push_back(piece);
      }
    }
  }
  return left;
}

LaneLayout choose_lanes(int64_t batch, int64_t blocks, int64_t block_bytes, int64_t buffer,
                        int64_t lanes, int64_t window) {
  LaneLayout layout{lanes, window};
  block_bytes = std::max<int64_t>(block_bytes, 1);
  if (lanes == 0) {
    const int64_t most = std::min({batch, blocks, buffer / (2 * block_bytes)});
    layout.lanes = 1;
    for (const int64_t candidate : {240, 120, 60, 48, 24, 12, 6, 4, 2}) {
      if (candidate <= most) {
        layout.lanes = candidate;
        break;
      }
    }
  }
  if (window == 0) {
    // The window in use and the next one, in three quarters of the buffer; the rest is for batches.
    const int64_t fits = buffer / 4 * 3 / (2 * layout.lanes * block_bytes);
    layout.window = std::clamp<int64_t>(fits, 1, (blocks + layout.lanes - 1) / layout.lanes);
  }
  return layout;
}

namespace {

// How often a block is read where constant shares are dealt, by the first blocks of an epoch whose
// rows are all there within some batches; by all ranks where blocks are too large for that.
double readers_of_shares(Order& order, const OrderSpec& spec, int64_t batch, int ranks) {
  constexpr int64_t looked_at = 1 << 18;
  struct Readers {
    int64_t rows = 0;
    std::set<int64_t> ranks;
  };
  std::map<int64_t, Readers> blocks;
  const int64_t end = std::min(order.samples(), looked_at);
  for (int64_t position = 0; position < end; position += batch) {
    for (const Item& item : order.items(position, batch, 0, 1)) {
      if (item.epoch > 0) break;
      Readers& readers = blocks[item.block];
      ++readers.rows;
      readers.ranks.insert(((item.row + 1) * int64_t{ranks} - 1) / batch);
    }
  }
  double used = 0, read = 0;
  for (const auto& [block, readers] : blocks) {
    const int64_t rows = spec.block_samples[static_cast<size_t>(block)];
    if (readers.rows < rows) continue;
    used += static_cast<double>(rows);
    read += static_cast<double>(rows) * static_cast<double>(readers.ranks.size());
  }
  return used > 0 ? read / used : ranks;
}

}  // namespace

OrderCost order_cost(const OrderSpec& spec, int64_t batch, int ranks) {
  OrderCost cost;
  Order order(spec);
  if (spec.constant_shares) {
    cost.read_amplification = readers_of_shares(order, spec, batch, ranks);
  } else if (spec.lanes % ranks != 0) {
    int64_t readers = 0;  // ranks over all lanes
    for (int64_t v = 0; v < spec.lanes; ++v) {
      const int64_t first = v * ranks / spec.lanes;
      const int64_t last = (v * ranks + ranks - 1) / spec.lanes;
      readers += last - first + 1;
    }
    cost.read_amplification = static_cast<double>(readers) / static_cast<double>(spec.lanes);
  }
  const int64_t batches = std::max<int64_t>(order.samples() / batch, 1);
  const int64_t stride = (batches + 99) / 100;
  double excess = 0;
  int64_t looked_at = 0;
  for (int64_t k = 0; k < batches; k += stride, ++looked_at) {
    const std::vector<int64_t> counts = order.counts(k * batch, batch, ranks);
    const double mean = static_cast<double>(batch) / ranks;
    excess += static_cast<double>(*std::max_element(counts.begin(), counts.end())) / mean - 1;
  }
  cost.imbalance = excess / static_cast<double>(looked_at);
  return cost;
}

}  // namespace lacuna
