// Results do not depend on the number of ranks: every objective of the list, the ranks of this run
// against one rank alone, on the same global batches. And three faults, planted, that the same
// comparison must find.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "comm/forwarding.h"
#include "data/files/decode.h"
#include "data/load/loader.h"
#include "data/order/order.h"
#include "io/write_hdf5.h"
#include "ranks/world.h"
#include "support/cells.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"
#include "train/loop.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t global_batch = 16;
constexpr int64_t steps = 20;
constexpr double learning_rate = 0.05;

// What must hold: of the gradients at step 1, and of the weights after 20 steps.
constexpr double gradient_limit = 1e-10;
constexpr double weight_limit = 1e-7;
constexpr double f32_gradient_limit = 1e-5;
// By how much a planted fault must miss that.
constexpr double fault_factor = 1e3;

// Where each rank's rows of the global batch begin, and the end.
using Division = std::vector<int64_t>;

Division alone() { return {0, global_batch}; }
// As evenly as it goes: 16 over 3 ranks are 5, 5 and 6 rows.
Division even(int64_t ranks) {
  Division first;
  for (int64_t r = 0; r <= ranks; ++r) first.push_back(r * global_batch / ranks);
  return first;
}
// 1, 3, 5 and 7 rows of 4 ranks.
Division uneven(int64_t ranks) {
  Division first;
  for (int64_t r = 0; r <= ranks; ++r) first.push_back(r * r * global_batch / (ranks * ranks));
  return first;
}
// All rows on the last rank, none on the others.
Division without_rows(int64_t ranks) {
  Division first(static_cast<size_t>(ranks), 0);
  first.push_back(global_batch);
  return first;
}
std::vector<int64_t> rows_of(const Division& first) {
  std::vector<int64_t> rows;
  for (size_t r = 0; r + 1 < first.size(); ++r) rows.push_back(first[r + 1] - first[r]);
  return rows;
}

// Drops from a gather's gradient what the other ranks' shares contribute to it.
class GatherWithoutGradient : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    used_ = true;
    const auto me = static_cast<size_t>(rank());
    const size_t before = std::accumulate(parts.begin(), parts.begin() + rank(), size_t{0});
    std::memcpy(mine, static_cast<const char*>(data) + before * size_of(dtype),
                parts[me] * size_of(dtype));
    return {};
  }
  bool used() const { return used_; }

 private:
  bool used_ = false;
};

// Named arrays: the gradients of the parameters, or State by role.
using Values = std::map<std::string, std::vector<double>>;

std::vector<double> doubles(const HostTensor& tensor) {
  std::vector<double> values(static_cast<size_t>(tensor.shape().count()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = element_value(tensor.data(), static_cast<int64_t>(i), tensor.dtype());
  }
  return values;
}

double squared_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}
double squared_norm_of(const std::vector<double>& a) {
  return squared_distance(a, std::vector<double>(a.size()));
}

// The largest relative deviation of a tensor. One whose norm is below 1e-6 of the whole is compared
// with the whole: it is a sum of terms that cancel.
double deviation(const Values& values, const Values& expected) {
  REQUIRE(values.size() == expected.size());
  double whole = 0;
  for (const auto& [name, value] : expected) whole += squared_norm_of(value);
  double worst = 0;
  for (const auto& [name, value] : expected) {
    const double norm = squared_norm_of(value);
    const double to = norm < 1e-12 * whole ? whole : norm;
    worst = std::max(worst, std::sqrt(squared_distance(values.at(name), value) / to));
  }
  return worst;
}

// The distance between two ends, relative to the distance travelled from the start.
double deviation_of_travel(const Values& start, const Values& end, const Values& expected) {
  double apart = 0;
  double travelled = 0;
  for (const auto& [name, value] : expected) {
    apart += squared_distance(end.at(name), value);
    travelled += squared_distance(start.at(name), value);
  }
  REQUIRE(travelled > 0);
  return std::sqrt(apart / travelled);
}

// One objective, trained by one division of its global batches over the ranks of a communicator.
struct Setup {
  std::string objective;
  std::string device = "reference";
  StepOptions options = {};
  uint64_t seed = 1;         // of the augmentations, on this rank
  uint64_t draws = 1;        // of what layers draw, on this rank
  std::string encoder = "";  // lines of [encoder]; a small ResNet-18 if empty
};

class Training {
 public:
  Training(const Setup& setup, Communicator& communicator, Division first)
      : setup_(setup),
        experiment_(setup.objective, setup.device, 1, communicator, {.encoder = setup.encoder},
                    setup.options),
        first_(first[static_cast<size_t>(communicator.rank())]),
        last_(first[static_cast<size_t>(communicator.rank()) + 1]),
        rows_(rows_of(first)) {
    experiment_.trainer().prepare(batch(0).fields(), rows_);
  }

  Values gradients() {
    Values all;
    for (const auto& [name, gradient] : experiment_.trainer().gradients(batch(0).fields(), rows_)) {
      all[name] = doubles(gradient);
    }
    return all;
  }
  void train(int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      experiment_.trainer().step(batch(step).fields(), rows_, step, learning_rate,
                                 static_cast<double>(step) / steps);
    }
  }
  // What has gradients.
  Values parameters() {
    Values all;
    for (State* state : experiment_.trainer().parameters()) all[state->name()] = state->values();
    return all;
  }
  // Weights; or running statistics and teachers, which no optimizer changes.
  Values state(Role role) {
    Values all;
    for (State* state : experiment_.store().select("", role)) all[state->name()] = state->values();
    return all;
  }

 private:
  SmallBatch batch(int64_t step) const {
    const int64_t before = step * global_batch;
    return experiment_.batch(before + first_, before + last_, setup_.seed, setup_.draws);
  }

  Setup setup_;
  SmallExperiment experiment_;
  int64_t first_, last_;
  std::vector<int64_t> rows_;
};

// What one rank alone computes: by one rank of the world, which tells the others.
struct Expected {
  Values gradients, weights_before, weights, buffers_before, buffers;
};

void tell(Values& values, int root) {
  for (auto& [name, value] : values) {
    world().broadcast(value.data(), value.size() * sizeof(double), root).wait();
  }
}

Expected one_rank_alone(const Setup& setup, int64_t count, int root) {
  const auto self = self_communicator();
  Training training(setup, *self, alone());
  Expected expected;
  expected.weights_before = training.state(Role::parameter);
  expected.buffers_before = training.state(Role::buffer);
  expected.gradients = training.parameters();  // elsewhere than on the root: names and sizes
  if (world().rank() == root) {
    expected.gradients = training.gradients();
    training.train(0, count);
  }
  expected.weights = training.state(Role::parameter);
  expected.buffers = training.state(Role::buffer);
  return expected;
}

// Adds what one rank alone computes of each by its objective; each by another rank.
void add_expected(std::map<std::string, Expected>& to, const std::vector<Setup>& setups,
                  int64_t count) {
  const auto root_of = [](size_t i) { return static_cast<int>(i) % world().size(); };
  for (size_t i = 0; i < setups.size(); ++i) {
    to[setups[i].objective] = one_rank_alone(setups[i], count, root_of(i));
  }
  for (size_t i = 0; i < setups.size(); ++i) {
    Expected& expected = to[setups[i].objective];
    tell(expected.gradients, root_of(i));
    tell(expected.weights, root_of(i));
    tell(expected.buffers, root_of(i));
  }
}

// The objectives of this run: on one rank and on three, which 16 rows do not divide evenly over,
// all of the list (of these the cells that are chosen); on other numbers of ranks one, which
// gathers.
bool has_full_matrix() { return world().size() == 1 || world().size() == 3; }
std::vector<std::string> names() {
  if (!has_full_matrix()) return {"simclr"};
  return chosen_cells(every_cell());
}

// Computed once for all tests.
const Expected& expected_of(const std::string& objective) {
  static std::map<std::string, Expected> all;
  std::vector<Setup> missing;
  if (all.empty()) {
    for (const std::string& name : names()) missing.push_back({.objective = name});
    add_expected(all, missing, steps);
  }
  if (all.count(objective) == 0) add_expected(all, {{.objective = objective}}, steps);
  return all.at(objective);
}

struct Deviations {
  double gradients = 0, weights = 0, buffers = 0;
};

Deviations compare(const Setup& setup, Communicator& communicator, const Division& first) {
  const Expected& expected = expected_of(setup.objective);
  Training training(setup, communicator, first);
  Deviations found;
  found.gradients = deviation(training.gradients(), expected.gradients);
  training.train(0, steps);
  found.weights = deviation_of_travel(expected.weights_before, training.state(Role::parameter),
                                      expected.weights);
  found.buffers =
      deviation_of_travel(expected.buffers_before, training.state(Role::buffer), expected.buffers);
  return found;
}

template <typename T>
bool same_on_all_ranks(const std::vector<T>& values) {
  std::vector<T> first = values;
  world().broadcast(first.data(), first.size() * sizeof(T), 0).wait();
  return std::memcmp(first.data(), values.data(), values.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("every objective gives the same gradients and weights on any number of ranks") {
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    const Deviations found = compare({.objective = objective}, world(), even(world().size()));
    CAPTURE(found.gradients, found.weights, found.buffers);
    CHECK(found.gradients < gradient_limit);
    CHECK(found.weights < weight_limit);
    CHECK(found.buffers < weight_limit);
  }
}

TEST_CASE("ranks that hold very different numbers of rows give the same gradients") {
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    Training training({.objective = objective}, world(), uneven(world().size()));
    CHECK(deviation(training.gradients(), expected_of(objective).gradients) < gradient_limit);
  }
}

TEST_CASE("all ranks hold the same weights bit for bit after some steps") {
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    Training training({.objective = objective, .device = "cpu"}, world(), even(world().size()));
    training.train(0, 3);
    for (const Role role : {Role::parameter, Role::buffer, Role::optimizer}) {
      for (const auto& [name, values] : training.state(role)) {
        CAPTURE(name);
        CHECK(same_on_all_ranks(values));
      }
    }
  }
}

TEST_CASE("in f32 every objective gives the same gradients within rounding") {
  const auto self = self_communicator();
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    Training one({.objective = objective, .device = "cpu"}, *self, alone());
    Training many({.objective = objective, .device = "cpu"}, world(), even(world().size()));
    const double found = deviation(many.gradients(), one.gradients());
    CHECK(found < f32_gradient_limit);
  }
}

TEST_CASE("planted fault: without the gradient of the gather the comparison fails") {
  if (world().size() == 1) return;  // one rank gathers nothing
  int gathering = 0;                // objectives that gather
  std::vector<std::string> tried = names();
  if (std::find(tried.begin(), tried.end(), "simclr") == tried.end()) tried.emplace_back("simclr");
  for (const std::string& objective : tried) {
    CAPTURE(objective);
    GatherWithoutGradient faulty(world());
    Training({.objective = objective}, faulty, even(world().size())).gradients();
    if (!faulty.used()) continue;
    ++gathering;
    const Deviations found = compare({.objective = objective}, faulty, even(world().size()));
    CHECK(found.gradients > fault_factor * gradient_limit);
    CHECK(found.weights > fault_factor * weight_limit);
  }
  CHECK(gathering > 0);
}

TEST_CASE("planted fault: with statistics of each rank alone the comparison fails") {
  if (world().size() == 1) return;
  StepOptions local;
  local.synchronise_statistics = false;
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    const Deviations found =
        compare({.objective = objective, .options = local}, world(), even(world().size()));
    CHECK(found.gradients > fault_factor * gradient_limit);
    CHECK(found.weights > fault_factor * weight_limit);
  }
}

TEST_CASE("planted fault: with another seed on one rank the comparison fails") {
  if (world().size() == 1) return;
  const uint64_t seed = world().rank() == world().size() - 1 ? 2 : 1;
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    const Deviations found =
        compare({.objective = objective, .seed = seed}, world(), even(world().size()));
    CHECK(found.gradients > fault_factor * gradient_limit);
    CHECK(found.weights > fault_factor * weight_limit);
  }
}

// A vision transformer and its draws, which are those of the samples. `seed`: of the draws on this
// rank.
constexpr int64_t vit_steps = 5;
Setup vit_setup(const std::string& objective, uint64_t seed) {
  return {.objective = objective, .draws = seed, .encoder = small_vit};
}

Deviations vit_deviations(const std::string& objective, uint64_t seed, const Division& first) {
  static std::map<std::string, Expected> all;
  if (all.count(objective) == 0) add_expected(all, {vit_setup(objective, 1)}, vit_steps);
  const Expected& expected = all.at(objective);
  Training many(vit_setup(objective, seed), world(), first);
  Deviations found;
  found.gradients = deviation(many.gradients(), expected.gradients);
  many.train(0, vit_steps);
  found.weights =
      deviation_of_travel(expected.weights_before, many.state(Role::parameter), expected.weights);
  return found;
}

TEST_CASE("a vision transformer that drops blocks gives the same on any number of ranks") {
  std::vector<std::string> tried = {"simclr", "byol"};
  if (!has_full_matrix()) tried.pop_back();
  std::vector<Division> divisions = {even(world().size())};
  if (world().size() > 1) divisions.push_back(without_rows(world().size()));
  for (const std::string& objective : tried) {
    for (const Division& first : divisions) {
      CAPTURE(objective, first);
      const Deviations found = vit_deviations(objective, 1, first);
      CAPTURE(found.gradients, found.weights);
      CHECK(found.gradients < gradient_limit);
      CHECK(found.weights < weight_limit);
    }
  }
}

TEST_CASE("planted fault: with other draws of blocks on one rank the comparison fails") {
  if (world().size() == 1) return;
  const uint64_t seed = world().rank() == world().size() - 1 ? 2 : 1;
  const Deviations found = vit_deviations("simclr", seed, even(world().size()));
  CHECK(found.gradients > fault_factor * gradient_limit);
  CHECK(found.weights > fault_factor * weight_limit);
}

// 100 samples of 8x8, and of 6 numbers as a second part, in blocks of 7: batches of 16 cross blocks
// and, the seventh, the epoch.
// Collective.
class SmallDataset {
 public:
  SmallDataset() {
    std::string path = folder_ / "data.h5";
    std::vector<float> pixels(100 * 8 * 8);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 37 % 251) / 255;
    if (world().rank() == 0) {
      written::DataFile file(path);
      file.add("images", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {100, 8, 8}, pixels.data(),
               {.chunk = {7, 8, 8}});
      file.add("table", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {100, 6}, pixels.data());
    }
    world().broadcast(path.data(), path.size(), 0).wait();
    dataset_.emplace(std::vector<std::string>{path},
                     std::vector<FieldSpec>{{"image", "images"}, {"paired", "table"}}, world());
    order_.block_samples = dataset_->block_samples();
    order_.lanes = 4;
  }
  ~SmallDataset() { world().barrier(); }  // the file stays until all have read it

  const Dataset& dataset() const { return *dataset_; }
  Order order() const { return Order(order_); }
  // What a rank reads, as the objective's recipe makes it.
  Loader loader(const Objective& objective, int rank, int ranks, int64_t position = 0) const {
    return {*dataset_,
            std::make_unique<Order>(order_),
            objective.recipe(),
            {.rank = rank, .ranks = ranks, .batch = global_batch, .position = position, .seed = 9}};
  }

 private:
  TemporaryFolder folder_;
  std::optional<Dataset> dataset_;
  OrderSpec order_;
};

TEST_CASE("the loaders of all ranks deliver the rows of one rank bit for bit") {
  const SmallDataset data;
  const auto self = self_communicator();
  for (const std::string& objective : names()) {
    CAPTURE(objective);
    SmallExperiment experiment(objective, "reference", 1, *self, {.size = 8, .width = 1});
    Loader one = data.loader(experiment.objective(), 0, 1);
    Loader mine = data.loader(experiment.objective(), world().rank(), world().size());
    for (int step = 0; step < 14; ++step) {
      const Batch expected = *one.next();
      const Batch batch = *mine.next();
      std::vector<int64_t> served(global_batch);
      for (size_t row = 0; row < batch.rows.size(); ++row) {
        const auto place = static_cast<size_t>(batch.rows[row]);
        served.at(place) += 1;
        CHECK(batch.samples[row] == expected.samples.at(place));
        for (const std::string& name : expected.names()) {
          CAPTURE(name, step, place);
          const HostTensor& all = expected.field(name);
          const HostTensor& some = batch.field(name);
          const size_t bytes = all.bytes() / global_batch;
          CHECK(std::memcmp(static_cast<const char*>(all.data()) + place * bytes,
                            static_cast<const char*>(some.data()) + row * bytes, bytes) == 0);
        }
      }
      world().all_reduce_sum(served.data(), served.size(), DType::i64).wait();
      CHECK(served == std::vector<int64_t>(global_batch, 1));
    }
  }
}

// Gradients of two batches, the second of which holds the end of an epoch, by the rows that the
// order deals to each rank. `faulty`: draws belong to a row's place in the batch, the ranks' rows
// behind each other.
std::vector<Values> dealt_gradients(const SmallDataset& data, const std::string& objective,
                                    Communicator& communicator, bool faulty = false) {
  SmallExperiment experiment(objective, "reference", 1, communicator,
                             {.size = 8, .encoder = small_vit});
  const int ranks = communicator.size();
  Loader loader = data.loader(experiment.objective(), communicator.rank(), ranks, 5 * global_batch);
  Order order = data.order();
  std::vector<Values> all;
  for (int step = 0; step < 2; ++step) {
    Batch batch = *loader.next();
    const std::vector<int64_t> rows = order.counts(batch.position, global_batch, ranks);
    auto place = static_cast<uint64_t>(
        std::accumulate(rows.begin(), rows.begin() + communicator.rank(), int64_t{0}));
    if (faulty)
      for (SampleKey& key : batch.keys) key.sample = place++;
    const Fields fields = fields_of(batch, experiment.compute());
    if (step == 0) experiment.trainer().prepare(fields, rows);
    Values& gradients = all.emplace_back();
    for (const auto& [name, gradient] : experiment.trainer().gradients(fields, rows))
      gradients[name] = doubles(gradient);
  }
  return all;
}

double worst_deviation(const std::vector<Values>& found, const std::vector<Values>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, deviation(found.at(i), expected[i]));
  return worst;
}

TEST_CASE("what layers draw follows the samples to the ranks that the order deals them to") {
  const SmallDataset data;
  const auto self = self_communicator();
  for (const char* objective : {"simclr", "byol"}) {
    CAPTURE(objective);
    const std::vector<Values> expected = dealt_gradients(data, objective, *self);
    CHECK(worst_deviation(dealt_gradients(data, objective, world()), expected) < gradient_limit);
  }
}

TEST_CASE("planted fault: with draws by the place in the batch the comparison fails") {
  if (world().size() == 1) return;
  const SmallDataset data;
  const auto self = self_communicator();
  const std::vector<Values> expected = dealt_gradients(data, "simclr", *self, true);
  CHECK(worst_deviation(dealt_gradients(data, "simclr", world(), true), expected) >
        fault_factor * gradient_limit);
}
