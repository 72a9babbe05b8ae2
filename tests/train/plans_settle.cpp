// A run settles on few plans, however uneven the rows are that the order deals to its ranks.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "data/order/order.h"
#include "nn/recorded.h"
#include "support/experiment.h"
#include "support/two_streams.h"

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

std::vector<std::vector<int64_t>> rows_of_steps(const OrderSpec& spec, int64_t batch, int ranks) {
  Order order(spec);
  std::vector<std::vector<int64_t>> rows;
  for (int64_t step = 0; step < steps; ++step)
    rows.push_back(order.counts(step * batch, batch, ranks));
  return rows;
}

// Records the steps of each rank.
Settled settled(const char* objective, int64_t lanes, int64_t batch, int ranks) {
  const auto rows = rows_of_steps(uneven_blocks(lanes), batch, ranks);
  Settled found;
  found.divisions = std::set(rows.begin(), rows.end()).size();
  for (int rank = 0; rank < ranks; ++rank) {
    test::SilentRank communicator(rank, ranks);
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

// The plans of a rank, up to one too many, of a training that two streams feed, the second of
// blocks of 31 rows.
size_t plans_of_two_streams(int64_t batch, int rank, int ranks, bool constant_shares) {
  OrderSpec second;
  second.block_samples.assign(300, 31);
  second.lanes = 60;
  second.seed = 1;
  second.constant_shares = constant_shares;
  const auto rows = rows_of_steps(uneven_blocks(60), batch, ranks);
  const auto of_second = rows_of_steps(second, batch, ranks);
  test::SilentRank communicator(rank, ranks);
  TwoStreamTraining training(communicator);
  const Executor& executor = training.trainer().executor();
  const auto self = self_communicator();
  const SmallExperiment maker("simclr", "reference", 1, *self, {.size = 8});
  std::map<int64_t, SmallBatch> made;  // by their rows
  const auto batch_of = [&](const std::vector<int64_t>& of_step) -> const Fields& {
    const int64_t count = of_step[static_cast<size_t>(rank)];
    return made.try_emplace(count, maker.batch(0, count)).first->second.fields();
  };
  for (size_t step = 0; step < steps && executor.plan_count() <= most_plans; ++step) {
    Fields fields = batch_of(rows[step]);
    const Fields& others = batch_of(of_second[step]);
    for (const char* name : {"view0", "view1"}) fields.add(concat("target.", name), others[name]);
    fields.add_stream("target", {of_second[step], others.keys()});
    if (step == 0) training.trainer().prepare(fields, rows[0]);
    training.trainer().record(fields, rows[step], static_cast<int64_t>(step), 0.05, 0);
  }
  return executor.plan_count();
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

TEST_CASE("a run that two streams feed settles on few plans") {
  for (const int ranks : {3, 4, 8}) {
    CAPTURE(ranks);
    CHECK(plans_of_two_streams(256, ranks / 2, ranks, true) <= most_plans);
  }
}

TEST_CASE("planted fault: a second stream that is dealt by lanes makes many plans") {
  CHECK(plans_of_two_streams(256, 4, 8, false) > most_plans);
}
