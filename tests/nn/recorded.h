// What layers that draw are recorded with in tests: samples of one rank among several.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "graph/forward_context.h"

namespace lacuna::test {

// One of several ranks, which never speaks.
class SilentRank final : public Communicator {
 public:
  SilentRank(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Request all_gather(const void*, void*, std::span<const size_t>) override { return {}; }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void*, size_t, DType) override { return {}; }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t>, DType) override {
    return {};
  }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

 private:
  int rank_, size_;
};

// In double. `keys`, of this rank's rows, must outlive it.
inline ForwardContext forward_context_of(Communicator& rank, std::vector<int64_t> rows,
                                         std::span<const SampleKey> keys = {}) {
  return {.communicator = rank,
          .compute = DType::f64,
          .parameters = DType::f64,
          .rows = std::move(rows),
          .keys = keys};
}

// Of `count` samples, ascending from `first`.
inline std::vector<SampleKey> keys_of(uint64_t count, SampleKey first = {.seed = 5}) {
  std::vector<SampleKey> keys(count, first);
  for (uint64_t i = 0; i < count; ++i) keys[i].sample += i;
  return keys;
}

}  // namespace lacuna::test
