// The order of samples: identities that hold for any data set, lanes, window and number of ranks.
#include "data/order/order.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "base/random.h"

using namespace lacuna;

namespace {

// Blocks of uneven sizes, 0 < size <= most.
std::vector<int64_t> uneven_blocks(int count, uint64_t most, uint64_t seed) {
  const Draws draws(seed, Purpose::test, 0);
  std::vector<int64_t> blocks;
  for (int i = 0; i < count; ++i) {
    blocks.push_back(1 + static_cast<int64_t>(draws.below(static_cast<uint32_t>(i), most)));
  }
  return blocks;
}

int64_t total(const std::vector<int64_t>& blocks) {
  return std::accumulate(blocks.begin(), blocks.end(), int64_t{0});
}

OrderSpec spec_of(std::vector<int64_t> blocks, int64_t lanes, int64_t window) {
  OrderSpec spec;
  spec.block_samples = std::move(blocks);
  spec.lanes = lanes;
  spec.window = window;
  spec.seed = 5;
  return spec;
}

// The samples of the positions from `position` on, in the order of their rows, served by `ranks`.
std::vector<int64_t> served(Order& order, int64_t position, int64_t count, int ranks) {
  std::vector<int64_t> samples(static_cast<size_t>(count), -1);
  for (int rank = 0; rank < ranks; ++rank) {
    int64_t before = -1;
    for (const Item& item : order.items(position, count, rank, ranks)) {
      CHECK(item.row > before);
      before = item.row;
      int64_t& slot = samples.at(static_cast<size_t>(item.row));
      CHECK(slot == -1);
      slot = item.sample;
      CHECK(item.epoch == (position + item.row) / order.samples());
    }
  }
  return samples;
}

}  // namespace

TEST_CASE("order shows each sample exactly once an epoch") {
  struct Case {
    int blocks;
    uint64_t most;
    int64_t lanes, window, batch;
  };
  for (const Case c : {Case{37, 13, 12, 1, 7}, Case{37, 13, 12, 2, 64}, Case{1, 1, 1, 1, 3},
                       Case{5, 100, 4, 3, 16}, Case{101, 1, 24, 2, 24}, Case{3, 5, 6, 1, 4}}) {
    const std::vector<int64_t> blocks = uneven_blocks(c.blocks, c.most, 1);
    const int64_t n = total(blocks);
    Order order(spec_of(blocks, c.lanes, c.window));
    std::vector<int64_t> all;
    while (static_cast<int64_t>(all.size()) < 3 * n) {
      const std::vector<int64_t> batch =
          served(order, static_cast<int64_t>(all.size()), c.batch, 1);
      all.insert(all.end(), batch.begin(), batch.end());
    }
    std::vector<int64_t> before;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> one(all.begin() + epoch * n, all.begin() + (epoch + 1) * n);
      CHECK((n < 4 || one != before));
      before = one;
      std::sort(one.begin(), one.end());
      for (int64_t i = 0; i < n; ++i) REQUIRE(one[static_cast<size_t>(i)] == i);
    }
  }
}

TEST_CASE("order of rows is the same for any number of ranks") {
  Order one(spec_of(uneven_blocks(53, 9, 2), 12, 2));
  for (const int ranks : {1, 2, 3, 4, 5, 7, 12, 16, 29}) {
    Order order(spec_of(uneven_blocks(53, 9, 2), 12, 2));
    for (int64_t position = 0; position < 2 * one.samples(); position += 32) {
      REQUIRE(served(order, position, 32, ranks) == served(one, position, 32, 1));
    }
  }
}

TEST_CASE("order continues at any position as if it had never stopped") {
  const OrderSpec spec = spec_of(uneven_blocks(20, 11, 3), 6, 2);
  Order whole(spec);
  const int64_t n = whole.samples();
  const std::vector<int64_t> all = served(whole, 0, 3 * n, 1);
  for (int64_t position = 0; position + 10 <= 3 * n; position += 1) {
    Order fresh(spec);
    const std::vector<int64_t> some = served(fresh, position, 10, 2);
    REQUIRE(std::equal(some.begin(), some.end(), all.begin() + position));
  }
}

TEST_CASE("order depends on the seed and on nothing between two orders of one seed") {
  OrderSpec spec = spec_of(uneven_blocks(20, 11, 3), 6, 2);
  Order a(spec), b(spec);
  spec.seed = 6;
  Order c(spec);
  CHECK(served(a, 0, 50, 1) == served(b, 0, 50, 1));
  CHECK(served(a, 0, 50, 1) != served(c, 0, 50, 1));
}

TEST_CASE("order serves whole lanes where ranks divide lanes and blocks of equal size") {
  Order order(spec_of(std::vector<int64_t>(240, 32), 24, 2));
  for (const int ranks : {2, 3, 4, 6, 8, 12, 24}) {
    std::vector<std::set<int64_t>> blocks(static_cast<size_t>(ranks));
    for (int64_t position = 0; position < order.samples(); position += 48) {
      const std::vector<int64_t> counts = order.counts(position, 48, ranks);
      for (int rank = 0; rank < ranks; ++rank) {
        REQUIRE(counts[static_cast<size_t>(rank)] == 48 / ranks);
        for (const Item& item : order.items(position, 48, rank, ranks)) {
          blocks[static_cast<size_t>(rank)].insert(item.block);
        }
      }
    }
    size_t read = 0;
    for (const auto& mine : blocks) read += mine.size();
    CHECK(read == 240);  // no block is read by two ranks
  }
}

TEST_CASE("order reads shared blocks no more often than it says") {
  const OrderSpec spec = spec_of(std::vector<int64_t>(240, 32), 24, 2);
  for (const int ranks : {5, 7, 48}) {
    Order order(spec);
    size_t read = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      std::set<int64_t> blocks;
      for (const Item& item : order.items(0, order.samples(), rank, ranks))
        blocks.insert(item.block);
      read += blocks.size();
    }
    const double amplification = static_cast<double>(read) / 240;
    CHECK(amplification == Approx(order_cost(spec, 48, ranks).read_amplification));
    CHECK(amplification <= 2);
  }
  CHECK(order_cost(spec, 48, 4).read_amplification == 1);
  CHECK(order_cost(spec, 48, 4).imbalance == 0);
}

TEST_CASE("constant shares are of the same batches, and as many in each") {
  OrderSpec spec = spec_of(uneven_blocks(30, 40, 9), 6, 2);
  Order whole(spec);
  spec.constant_shares = true;
  for (const int ranks : {1, 2, 3, 8}) {
    Order order(spec);
    for (int64_t position = 0; position < 3 * whole.samples(); position += 50) {
      std::vector<int64_t> samples(50);
      const std::vector<int64_t> counts = order.counts(position, 50, ranks);
      for (int rank = 0; rank < ranks; ++rank) {
        const std::vector<Item> items = order.items(position, 50, rank, ranks);
        REQUIRE(static_cast<int64_t>(items.size()) == counts[static_cast<size_t>(rank)]);
        REQUIRE(items.size() == static_cast<size_t>(50 * (rank + 1) / ranks - 50 * rank / ranks));
        REQUIRE((items.front().row == 50 * rank / ranks));
        for (const Item& item : items) samples[static_cast<size_t>(item.row)] = item.sample;
      }
      REQUIRE(samples == served(whole, position, 50, 1));
    }
  }
}

TEST_CASE("constant shares read as much as the order says") {
  OrderSpec spec = spec_of(uneven_blocks(200, 12, 4), 20, 2);
  spec.constant_shares = true;
  for (const int ranks : {2, 5, 8}) {
    Order order(spec);
    double read = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      std::set<int64_t> blocks;
      for (int64_t position = 0; position < order.samples(); position += 40)
        for (const Item& item : order.items(position, 40, rank, ranks))
          if (item.epoch == 0) blocks.insert(item.block);
      for (const int64_t block : blocks)
        read += static_cast<double>(spec.block_samples[static_cast<size_t>(block)]);
    }
    const double amplification = read / static_cast<double>(order.samples());
    CHECK(amplification == Approx(order_cost(spec, 40, ranks).read_amplification));
    CHECK(amplification > 1.5);
    CHECK(order_cost(spec, 40, ranks).imbalance < 0.01);
  }
}

TEST_CASE("order draws from all lanes in proportion to what is left") {
  Order order(spec_of(uneven_blocks(400, 50, 4), 24, 3));
  const int64_t n = order.samples();
  std::vector<double> lane_total(24, 0);
  for (const Item& item : order.items(0, n, 0, 1)) ++lane_total[static_cast<size_t>(item.lane)];
  for (int64_t position = 0; position + 240 <= n; position += 240) {
    std::vector<double> count(24, 0);
    for (const Item& item : order.items(position, 240, 0, 1))
      ++count[static_cast<size_t>(item.lane)];
    for (size_t v = 0; v < 24; ++v) {
      REQUIRE(std::abs(count[v] - 240 * lane_total[v] / static_cast<double>(n)) <= 1.5);
    }
  }
}

TEST_CASE("order is far from the order of the file") {
  // 120 blocks of 50 samples, 24 lanes, windows of 2 blocks: nothing near sequential may be left.
  Order order(spec_of(std::vector<int64_t>(120, 50), 24, 2));
  const std::vector<int64_t> samples = served(order, 0, order.samples(), 1);
  const auto n = static_cast<double>(samples.size());
  double step = 0, cross = 0;
  int neighbours = 0;
  for (size_t i = 0; i + 1 < samples.size(); ++i) {
    const auto difference = static_cast<double>(samples[i + 1] - samples[i]);
    step += std::abs(difference);
    neighbours += std::abs(difference) <= 2;
    cross += (static_cast<double>(i) - n / 2) * (static_cast<double>(samples[i]) - n / 2);
  }
  CHECK(step / n > 0.9 * n / 3);                    // a random permutation: n / 3
  CHECK(neighbours < 30);                           // a random permutation: about 4
  CHECK(std::abs(cross) / (n * n * n / 12) < 0.3);  // correlation of place and index; 120 blocks
  // A batch of 240 has samples of at least as many blocks as there are lanes.
  std::set<int64_t> blocks;
  for (const Item& item : order.items(480, 240, 0, 1)) blocks.insert(item.block);
  CHECK(blocks.size() >= 24);
}

TEST_CASE("order within a window shows no trace of the order of the file") {
  Order order(spec_of(std::vector<int64_t>(8, 100), 1, 8));
  const std::vector<int64_t> samples = served(order, 0, 800, 1);
  int rising = 0;
  for (size_t i = 0; i + 1 < samples.size(); ++i) rising += samples[i + 1] > samples[i];
  CHECK(std::abs(rising - 400) < 45);  // 5 standard deviations of sqrt(n / 12)
}

TEST_CASE("order of a subset shows its samples and no others") {
  OrderSpec spec = spec_of(uneven_blocks(30, 20, 6), 4, 2);
  for (int64_t i = 3; i < total(spec.block_samples); i += 7) spec.subset.push_back(i);
  const std::vector<int64_t> subset = spec.subset;
  Order order(spec);
  CHECK(order.samples() == static_cast<int64_t>(subset.size()));
  std::vector<int64_t> samples = served(order, 0, order.samples(), 3);
  CHECK(samples != subset);
  std::sort(samples.begin(), samples.end());
  CHECK(samples == subset);
}

TEST_CASE("sequential pass covers all samples in contiguous shares at one pace") {
  const std::vector<int64_t> blocks = uneven_blocks(11, 9, 7);
  Sequential pass(blocks);
  const int64_t n = pass.samples();
  for (const int ranks : {1, 2, 3, 5}) {
    std::vector<std::vector<int64_t>> samples(static_cast<size_t>(ranks));
    for (int64_t position = 0; position < pass.end(); position += 8) {
      std::set<int32_t> rows;
      for (int rank = 0; rank < ranks; ++rank) {
        for (const Item& item : pass.items(position, 8, rank, ranks)) {
          samples[static_cast<size_t>(rank)].push_back(item.sample);
          rows.insert(item.row);
        }
      }
      if (!rows.empty()) CHECK(*rows.rbegin() == static_cast<int32_t>(rows.size()) - 1);
    }
    std::vector<int64_t> all;
    for (const auto& mine : samples) all.insert(all.end(), mine.begin(), mine.end());
    REQUIRE(static_cast<int64_t>(all.size()) == n);
    for (int64_t i = 0; i < n; ++i) REQUIRE(all[static_cast<size_t>(i)] == i);
  }
}

TEST_CASE("sequential pass over ranges covers these and its rest is what was not served") {
  const std::vector<int64_t> blocks = uneven_blocks(11, 9, 7);
  const int64_t n = total(blocks);
  const std::vector<SampleRange> ranges = {{0, 1}, {3, 4}, {4, 9}, {11, n}};
  std::set<int64_t> wanted;
  for (const SampleRange& range : ranges) {
    for (int64_t i = range.first; i < range.end; ++i) wanted.insert(i);
  }
  std::vector<int64_t> ends;
  std::partial_sum(blocks.begin(), blocks.end(), std::back_inserter(ends));
  const auto block_of = [&](int64_t sample) {
    return std::upper_bound(ends.begin(), ends.end(), sample) - ends.begin();
  };
  for (const int ranks : {1, 2, 3, 5}) {
    Sequential pass(blocks, ranges);
    CHECK(pass.samples() == static_cast<int64_t>(wanted.size()));
    std::set<int64_t> left = wanted;
    for (int64_t position = 0; position < pass.end(); position += 8) {
      std::set<int64_t> rest;
      for (const SampleRange& range : pass.rest(position, ranks)) {
        for (int64_t i = range.first; i < range.end; ++i) rest.insert(i);
      }
      CHECK(rest == left);
      for (int rank = 0; rank < ranks; ++rank) {
        for (const Item& item : pass.items(position, 8, rank, ranks)) {
          CHECK(left.erase(item.sample) == 1);
          CHECK(item.block == block_of(item.sample));
        }
      }
    }
    CHECK(left.empty());
    CHECK(pass.rest(pass.end(), ranks).empty());
  }
  CHECK(Sequential(blocks).rest(0, 3) == std::vector<SampleRange>{{0, n}});
}

TEST_CASE("lanes follow from batch and blocks and buffer") {
  constexpr int64_t mib = 1 << 20;
  CHECK(choose_lanes(256, 938, 50176, 1024 * mib).lanes == 240);
  CHECK(choose_lanes(100, 938, 50176, 1024 * mib).lanes == 60);
  CHECK(choose_lanes(256, 5, 50176, 1024 * mib).lanes == 4);
  CHECK(choose_lanes(256, 938, 16 * mib, 1024 * mib).lanes == 24);  // at most 32 fit
  CHECK(choose_lanes(256, 938, 4096 * mib, 1024 * mib).lanes == 1);
  CHECK(choose_lanes(256, 938, 50176, 1024 * mib, 7).lanes == 7);
  CHECK(choose_lanes(256, 938, 50176, 1024 * mib).window == 4);  // all blocks of a lane
  CHECK(choose_lanes(256, 100000, mib, 1024 * mib).window == 1);
}

TEST_CASE("order loads ranks evenly where lanes are shared too") {
  OrderSpec spec = spec_of(std::vector<int64_t>(938, 64), 240, 4);
  spec.block_samples.back() = 32;
  for (const int ranks : {2, 4, 7, 9, 11}) CHECK(order_cost(spec, 256, ranks).imbalance < 0.08);
}
