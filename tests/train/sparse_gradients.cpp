// Tables whose gradients are (rows, values): against dense gradients, against SparseAdam's formula,
// on other numbers of ranks, sharded, and with faults planted.
#include <catch2/catch.hpp>
#include <cmath>

#include "backend/list.h"
#include "comm/forwarding.h"
#include "ops/case.h"
#include "support/separate_device.h"
#include "support/table_training.h"
#include "support/thread_communicators.h"

using namespace lacuna;
using namespace lacuna::testing;
using lacuna::test::ops::relative_error;

namespace {

using Values = std::map<std::string, std::vector<double>>;

constexpr int64_t steps = 4;

struct Trained {
  Values state;
  double norm = 0;
};

Trained trained(const TableSetup& setup, Communicator& communicator,
                const std::vector<int64_t>& rows) {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  TableTraining training(setup, *device, communicator, rows);
  Trained result;
  for (int64_t step = 0; step < steps; ++step) result.norm = training.step(step).gradient_norm;
  result.state = training.state();
  return result;
}

Trained alone(const TableSetup& setup) {
  const auto self = self_communicator();
  return trained(setup, *self, {TableTraining::batch});
}

// On threads; the optimizer's slices one behind the other, all else as every rank must have it.
Trained on_threads(const TableSetup& setup, const std::vector<int64_t>& rows) {
  std::vector<Trained> all(rows.size());
  on_ranks(static_cast<int>(rows.size()), [&](Communicator& communicator) {
    all[static_cast<size_t>(communicator.rank())] = trained(setup, communicator, rows);
  });
  Trained whole = all[0];
  for (size_t rank = 1; rank < all.size(); ++rank) {
    for (const auto& [name, values] : all[rank].state) {
      if (setup.shard && name.starts_with("optimizer.")) {
        whole.state[name].insert(whole.state[name].end(), values.begin(), values.end());
      } else {
        INFO(name);
        CHECK(values == whole.state[name]);
      }
    }
    CHECK(all[rank].norm == whole.norm);
  }
  return whole;
}

double difference(const Trained& a, const Trained& b) {
  REQUIRE(a.state.size() == b.state.size());
  double worst = 0;
  for (const auto& [name, values] : b.state)
    worst = std::max(worst, relative_error(a.state.at(name), values, 1));
  return worst;
}

bool is_touched(const std::vector<double>& gradient, int64_t row) {
  const auto begin = gradient.begin() + row * TableTraining::features;
  return std::any_of(begin, begin + TableTraining::features, [](double g) { return g != 0; });
}

// The ranks' rows and values never meet.
class WithoutGather final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    size_t before = 0, total = 0;
    for (size_t r = 0; r < bytes.size(); ++r) {
      if (r < static_cast<size_t>(rank())) before += bytes[r];
      total += bytes[r];
    }
    std::memset(all, 0, total);
    std::memcpy(static_cast<char*>(all) + before, mine, bytes[static_cast<size_t>(rank())]);
    return {};
  }
};

}  // namespace

TEST_CASE("SGD with sparse gradients is SGD with dense ones") {
  for (const double clip : {0.0, 0.3}) {
    for (const bool twice : {false, true}) {
      TableSetup setup{.keys = {"optimizer.weight_decay=0", "optimizer.momentum=0"}};
      setup.clip = clip;
      setup.twice = twice;
      const Trained sparse = alone(setup);
      setup.sparse = false;
      const Trained dense = alone(setup);
      CHECK(sparse.norm == Approx(dense.norm).epsilon(1e-13));
      if (clip > 0) CHECK(dense.norm > clip);
      // What dense momenta forget, since their weight is 0, sparse ones keep, and do not use.
      for (const char* name : {table_name, "head.weight", "head.bias"})
        CHECK(relative_error(sparse.state.at(name), dense.state.at(name)) < 1e-13);
    }
  }
}

// Where every row is touched at every step there is nothing to leave out.
TEST_CASE("with all rows touched the optimizers do with sparse gradients what they do with dense") {
  for (const char* optimizer : {"sgd", "lars", "adamw"}) {
    INFO(optimizer);
    TableSetup setup{.optimizer = optimizer, .vocabulary = 3};
    const Trained sparse = alone(setup);
    setup.sparse = false;
    const Trained dense = alone(setup);
    if (std::string(optimizer) != "lars") {  // of which dense tables take part in trust ratios
      CHECK(difference(sparse, dense) < 1e-13);
    }
    CHECK(sparse.state.contains(
        concat("optimizer.", std::string(optimizer) == "adamw" ? "first_moment." : "momentum.",
               table_name)));
  }
}

TEST_CASE("AdamW with sparse gradients changes the rows that are touched, as SparseAdam does") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  const auto self = self_communicator();
  TableTraining training({.optimizer = "adamw"}, *device, *self, {TableTraining::batch});
  std::vector<double> weight = training.state().at(table_name);
  std::vector<double> m(weight.size()), v(weight.size());
  int64_t untouched = 0, again = 0;
  std::vector<bool> before(weight.size());
  for (int64_t step = 0; step < steps; ++step) {
    const std::vector<double> gradient = training.gradient(step);
    training.step(step);
    const double t = static_cast<double>(step + 1);
    for (size_t i = 0; i < weight.size(); ++i) {
      if (!is_touched(gradient, static_cast<int64_t>(i) / TableTraining::features)) {
        untouched += before[i];
        continue;
      }
      again += before[i];
      before[i] = true;
      m[i] = 0.9 * m[i] + 0.1 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
      weight[i] -= 0.1 * (m[i] / (1 - std::pow(0.9, t))) /
                   (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
  }
  CHECK(untouched > 0);
  CHECK(again > 0);
  const Values state = training.state();
  CHECK(relative_error(state.at(table_name), weight) < 1e-12);
  CHECK(relative_error(state.at(concat("optimizer.first_moment.", table_name)), m) < 1e-12);
  CHECK(relative_error(state.at(concat("optimizer.second_moment.", table_name)), v) < 1e-12);
}

TEST_CASE("sparse gradients do not depend on the ranks, nor on whether State is sharded",
          "[ranks]") {
  for (const char* optimizer : {"sgd", "adamw"}) {
    for (const bool shard : {false, true}) {
      TableSetup setup{.optimizer = optimizer};
      setup.twice = true;
      setup.clip = 0.3;
      const Trained expected = alone(setup);
      setup.shard = shard;
      for (const std::vector<int64_t>& rows :
           std::vector<std::vector<int64_t>>{{5, 7}, {3, 0, 9}}) {
        INFO(optimizer << " on " << rows.size() << " ranks, sharded: " << shard);
        const Trained actual = on_threads(setup, rows);
        CHECK(actual.norm == Approx(expected.norm).epsilon(1e-12));
        CHECK(difference(actual, expected) < 1e-11);
      }
    }
  }
}

TEST_CASE("sparse gradients of one rank alone are noticed", "[ranks][fault]") {
  const TableSetup setup;
  const Trained expected = alone(setup);
  std::vector<Trained> all(2);
  on_ranks(2, [&](Communicator& communicator) {
    WithoutGather faulty(communicator);
    all[static_cast<size_t>(communicator.rank())] = trained(setup, faulty, {5, 7});
  });
  CHECK(difference(all[0], expected) > 1e-3);
}

TEST_CASE("a step with sparse gradients takes as much memory for any number of rows") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> device = make_device("reference", 1);
  std::vector<size_t> bytes;
  for (const int64_t vocabulary : {50, 50000}) {
    TableTraining training({.optimizer = "adamw", .vocabulary = vocabulary}, *device, *self,
                           {TableTraining::batch});
    for (int64_t step = 0; step < 3; ++step) training.step(step);
    CHECK(training.executor().plan_count() == 1);
    bytes.push_back(training.executor().plan().arena_bytes);
  }
  CHECK(bytes[0] == bytes[1]);
}

TEST_CASE("sparse gradients are not taken in micro-batches") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> device = make_device("reference", 1);
  TableSetup setup;
  setup.micro_batches = 2;
  CHECK_THROWS_WITH(
      TableTraining(setup, *device, *self, {TableTraining::batch}),
      Catch::Contains("\"words.weight\"") && Catch::Contains("set train.accumulate to 1"));
}

TEST_CASE("sparse gradients are sharded where memory is not the host's", "[cpu][ranks]") {
  TableSetup setup{.optimizer = "adamw"};
  setup.clip = 0.3;
  const Trained expected = alone(setup);
  setup.shard = true;
  std::vector<double> errors(2, 1);
  on_ranks(2, [&](Communicator& communicator) {
    SeparateDevice device(1);
    TableTraining training(setup, device, communicator, {5, 7});
    for (int64_t step = 0; step < steps; ++step) training.step(step);
    errors[static_cast<size_t>(communicator.rank())] =
        relative_error(training.state().at(table_name), expected.state.at(table_name));
  });
  for (const double error : errors) CHECK(error < 1e-5);
}

TEST_CASE("sparse gradients on the cpu device", "[cpu]") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  for (const char* optimizer : {"sgd", "adamw"}) {
    TableSetup setup{.optimizer = optimizer};
    setup.twice = true;
    setup.clip = 0.3;
    const Trained expected = alone(setup);
    TableTraining training(setup, *cpu, *self, {TableTraining::batch});
    for (int64_t step = 0; step < steps; ++step) training.step(step);
    CHECK(relative_error(training.state().at(table_name), expected.state.at(table_name)) < 1e-5);
  }
}
