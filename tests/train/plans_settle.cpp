// A run settles on few plans, however uneven the rows are that the order deals to its ranks.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "data/order/order.h"
#include "support/experiment.h"
#include "support/thread_communicators.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t steps = 1000;
constexpr size_t most_plans = 32;  // that an executor keeps

// 20,000 samples in blocks of 97, the last of which has 18.
OrderSpec uneven_blocks(int64_t lanes) {
  OrderSpec spec;
  spec.block_samples.assign(206, 97);
  spec.block_samples.push_back(18);
  spec.lanes = lanes;
  spec.window = 2;
  return spec;
}

struct Settled {
  size_t divisions = 0;  // of a batch's rows over the ranks
  size_t plans = 0;      // of the rank that has the most
};

// A rank of `ranks`, none of which is there: what is recorded needs no other one.
class OneOf final : public Communicator {
 public:
  OneOf(int rank, int ranks) : rank_(rank), ranks_(ranks) {}
  int rank() const override { return rank_; }
  int size() const override { return ranks_; }
  Request all_gather(const void*, void*, std::span<const size_t>) override { return {}; }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void*, size_t, DType) override { return {}; }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t>, DType) override {
    return {};
  }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

 private:
  int rank_, ranks_;
};

// Records the steps of each rank.
Settled settled(const char* objective, int64_t lanes, int64_t batch, int ranks) {
  Order order(uneven_blocks(lanes));
  std::vector<std::vector<int64_t>> rows;
  for (int64_t step = 0; step < steps; ++step)
    rows.push_back(order.counts(step * batch, batch, ranks));
  Settled found;
  found.divisions = std::set(rows.begin(), rows.end()).size();
  for (int rank = 0; rank < ranks; ++rank) {
    OneOf communicator(rank, ranks);
    SmallExperiment experiment(concat(objective, " on vector"), "cpu", 1, communicator,
                               {.size = 8, .width = 1});
    Trainer& trainer = experiment.trainer();
    std::map<int64_t, SmallBatch> batches;  // by their rows
    const auto fields = [&](const std::vector<int64_t>& of_step) -> const Fields& {
      const int64_t count = of_step[static_cast<size_t>(rank)];
      return batches.try_emplace(count, experiment.batch(0, count)).first->second.fields();
    };
    trainer.prepare(fields(rows[0]), rows[0]);
    for (int64_t step = 0; step < steps; ++step) {
      const auto& of_step = rows[static_cast<size_t>(step)];
      trainer.record(fields(of_step), of_step, step, 0.05, 0);
    }
    found.plans = std::max(found.plans, trainer.executor().plan_count());
  }
  return found;
}

}  // namespace

TEST_CASE("a run settles on few plans where ranks hold uneven rows") {
  struct Setting {
    int ranks;
    int64_t lanes, batch;
  };
  // Lanes that the ranks divide and lanes that they share, and an epoch of five batches.
  for (const Setting& each : {Setting{3, 60, 64}, {4, 12, 64}, {8, 60, 64}, {8, 60, 4096}}) {
    CAPTURE(each.ranks, each.lanes, each.batch);
    const Settled found = settled("simclr", each.lanes, each.batch, each.ranks);
    CAPTURE(found.divisions, found.plans);
    CHECK(found.plans <= most_plans);
    CHECK(found.divisions >= found.plans);
    if (each.ranks == 8) CHECK(found.divisions > 10 * most_plans);
  }
}
