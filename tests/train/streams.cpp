// Two streams feed a training: it gives the same on any number of ranks, goes on bit for bit, and
// its second stream draws for itself. And faults, planted, that the same comparisons must find.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "run/checkpoint.h"
#include "run/metrics.h"
#include "run/stored_state.h"
#include "support/thread_communicators.h"
#include "support/two_streams.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

using Values = std::map<std::string, std::vector<double>>;

// More than an epoch of each stream; the second's ends within a batch.
constexpr int64_t steps = 8;
const BatchTable batches = BatchTable::constant({14, 11});

// The largest deviation of a tensor, of its norm.
double deviation(const Values& found, const Values& expected) {
  double worst = 0;
  for (const auto& [name, values] : expected) {
    const std::vector<double>& others = found.at(name);
    double apart = 0, norm = 1e-12;
    for (size_t i = 0; i < values.size(); ++i) {
      apart += (others[i] - values[i]) * (others[i] - values[i]);
      norm += values[i] * values[i];
    }
    worst = std::max(worst, std::sqrt(apart / norm));
  }
  return worst;
}

struct Trained {
  std::vector<double> losses;
  Values state;
};

// Changes what a step is fed by.
using Fault = std::function<void(std::vector<Batch>& batch, const Communicator& communicator)>;

Trained trained(const TwoStreamFile& file, int ranks, const Fault& fault = {}) {
  Trained result;
  on_ranks(ranks, [&](Communicator& communicator) {
    const TwoStreamData data(file, communicator);
    TwoStreamTraining training(communicator);
    const std::vector<Stream> both = data.both(training.recipe());
    training.prepare(Streams(both, batches, {0, 1}));
    Streams streams(both, batches, {0, steps});
    std::vector<double> losses;
    for (int64_t step = 0; step < steps; ++step) {
      std::vector<Batch> batch = streams.next();
      if (fault) fault(batch, communicator);
      const Fields fields = fields_of(streams, batch, training.compute());
      losses.push_back(
          training.trainer().step(fields, streams.counts(0, batch[0]), step, 0.05, 0).loss);
    }
    if (communicator.rank() == 0) result = {losses, training.state()};
  });
  return result;
}

// ---- killed and continued

struct Killed {};

struct Left {
  Values state;
  std::vector<double> losses, epochs;
  friend bool operator==(const Left&, const Left&) = default;
};

const std::vector<double>& column(const MetricsTable& table, const std::string& name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const auto& each) { return each.name == name; });
  REQUIRE(found != table.columns.end());
  return found->value;
}

// Trains a run from its last checkpoint, or its beginning, to its end, or to its death behind a
// step.
Left run_on(const TwoStreamFile& file, const std::filesystem::path& run, int ranks,
            int64_t dies_after = -1, const BatchTable& of_steps = batches) {
  Left left;
  on_ranks(ranks, [&](Communicator& communicator) {
    const TwoStreamData data(file, communicator);
    TwoStreamTraining training(communicator);
    const std::vector<Stream> both = data.both(training.recipe());
    training.prepare(Streams(both, batches, {0, 1}));
    const auto checkpoint = complete_checkpoints(run).empty()
                                ? std::nullopt
                                : find_checkpoint(run, "last", [](const std::string&) {});
    communicator.barrier();
    LoopOptions plan{.steps = steps,
                     .batches = of_steps,
                     .samples = 70,
                     .schedule = {.peak = 0.05, .warmup = 3, .total = steps},
                     .checkpoint_steps = 3};
    MetricsTable table;
    if (checkpoint) {
      load_tensors(*checkpoint, tensor_targets(training.store()), Match::all);
      plan.first_step = checkpoint->info.step;
      plan.batches = checkpoint->info.batches;
      if (of_steps != batches) plan.batches = of_steps;
      table = checkpoint->info.metrics;
    }
    Log log(1, false, false, 0);
    const EarlyStop never({}, 0, EarlyStop::Clock::now(), communicator);
    std::unique_ptr<Metrics> metrics;
    std::unique_ptr<CheckpointWriter> writer;
    TrainingLoop::Output output;
    if (communicator.rank() == 0) {
      metrics = std::make_unique<Metrics>(run / "metrics.jsonl", std::move(table));
      writer = std::make_unique<CheckpointWriter>(run, CheckpointWriter::Keep{}, plan.first_step);
      output = {metrics.get(), writer.get(), {}};
    }
    Streams streams(both, plan.batches, {plan.first_step, steps});
    TrainingLoop loop(plan, streams, training.trainer(), training.store(), never, communicator, log,
                      training.compute());
    loop.run(output, [&](int64_t done) {
      if (done == dies_after) throw Killed();
    });
    if (communicator.rank() != 0) return;
    const MetricsTable all = metrics->table();
    left = {training.state(), column(all, "loss"), column(all, "epoch")};
  });
  return left;
}

Left killed_and_continued(const TwoStreamFile& file, int ranks, int continued_on,
                          const BatchTable& of_steps = batches) {
  const TemporaryFolder run;
  std::filesystem::create_directories(run / "checkpoints");
  CHECK_THROWS_AS(run_on(file, run.path(), ranks, 5), Killed);
  const std::optional<Checkpoint> last =
      find_checkpoint(run.path(), "last", [](const std::string&) {});
  REQUIRE(last);
  CHECK(last->info.step == 3);
  CHECK(last->info.position == 42);
  CHECK(last->info.batches.position(3, 1) == 33);
  CHECK(last->info.streams == std::vector<std::string>{"target"});
  return run_on(file, run.path(), continued_on, -1, of_steps);
}

// Computed once for all tests.
const Left& uninterrupted(int ranks) {
  static std::map<int, Left> all;
  if (all.count(ranks) == 0) {
    const TwoStreamFile file;
    const TemporaryFolder run;
    std::filesystem::create_directories(run / "checkpoints");
    all[ranks] = run_on(file, run.path(), ranks);
  }
  return all.at(ranks);
}

// ---- draws

// How many of the second stream's first samples of an order, and of its first views, are those of
// the first stream, where both are of the same data.
struct Alike {
  int64_t samples = 0, views = 0, layers = 0;
};

Alike alike(const Stream& first, const Stream& second) {
  constexpr int64_t count = 70;  // an epoch
  const auto loaded = [&](const Stream& stream) {
    LoaderOptions loading = stream.loading;
    loading.batch = loading.end = count;
    return *Loader(*stream.dataset, std::make_unique<Order>(stream.order), stream.recipe, loading)
                .next();
  };
  const Batch a = loaded(first), b = loaded(second);
  Alike found;
  const auto self = self_communicator();
  const auto drawn = [&](const Batch& batch) {
    ForwardContext forward{.communicator = *self, .rows = {count}, .keys = batch.keys};
    forward.per_row("draw", Purpose::stochastic_depth, [](double u) { return u; });
    const auto values = forward.drawn[0].as<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> of_a = drawn(a), of_b = drawn(b);
  const HostTensor& x = a.field("view0");
  const HostTensor& y = b.field("view0");
  const size_t bytes = x.bytes() / count;
  for (size_t i = 0; i < count; ++i) {
    found.samples += a.samples[i] == b.samples[i];
    for (size_t j = 0; j < count; ++j) {
      if (a.samples[i] != b.samples[j]) continue;
      found.layers += of_a[i] == of_b[j];
      found.views += std::memcmp(static_cast<const char*>(x.data()) + i * bytes,
                                 static_cast<const char*>(y.data()) + j * bytes, bytes) == 0;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("two streams give the same on any number of ranks") {
  const TwoStreamFile file;
  const Trained expected = trained(file, 1);
  for (const int ranks : {2, 3}) {
    CAPTURE(ranks);
    const Trained found = trained(file, ranks);
    for (size_t step = 0; step < expected.losses.size(); ++step)
      CHECK(found.losses[step] == Approx(expected.losses[step]).epsilon(1e-9));
    CHECK(deviation(found.state, expected.state) < 1e-7);
  }
}

TEST_CASE("planted fault: what layers draw for the second stream by a row's place is found") {
  const TwoStreamFile file;
  const Fault by_place = [](std::vector<Batch>& batch, const Communicator&) {
    for (size_t row = 0; row < batch[1].keys.size(); ++row) batch[1].keys[row].sample = row;
  };
  const Trained one = trained(file, 1, by_place);
  CHECK(deviation(trained(file, 3, by_place).state, one.state) > 1e-4);
}

TEST_CASE("two streams go on bit for bit where they are killed") {
  const TwoStreamFile file;
  for (const int ranks : {1, 3}) {
    CAPTURE(ranks);
    const Left& whole = uninterrupted(ranks);
    CHECK(whole.losses.size() == steps);
    CHECK(whole.epochs.back() == Approx(1.6));
    CHECK(killed_and_continued(file, ranks, ranks) == whole);
  }
}

TEST_CASE("two streams go on on another number of ranks") {
  const TwoStreamFile file;
  const Left& whole = uninterrupted(1);
  const Left other = killed_and_continued(file, 2, 3);
  for (size_t step = 0; step < steps; ++step)
    CHECK(other.losses[step] == Approx(whole.losses[step]).epsilon(1e-9));
}

TEST_CASE("planted fault: a second stream that goes on one sample too late is found") {
  const TwoStreamFile file;
  // 34 of the second stream in the three steps that are done instead of 33.
  const BatchTable late(
      std::vector<BatchTable::Entry>{{0, {14, 11}}, {2, {14, 12}}, {3, {14, 11}}});
  CHECK(killed_and_continued(file, 1, 1, late).losses != uninterrupted(1).losses);
}

TEST_CASE("two streams of the same data draw for themselves") {
  const TwoStreamFile file;
  const auto self = self_communicator();
  const TwoStreamData data(file, *self, "images");
  const TwoStreamTraining training(*self);
  const Stream first = data.first(training.recipe());
  const Alike found = alike(first, further_stream(data.second(training.recipe())));
  CHECK(found.samples < 10);
  CHECK(found.views == 0);
  CHECK(found.layers < 5);
  // Another name is another stream.
  Stream other = data.second(training.recipe());
  other.name = "source";
  CHECK(alike(further_stream(data.second(training.recipe())), further_stream(other)).views == 0);
}

TEST_CASE("planted fault: a second stream whose draws lack the hash of its name is found") {
  const TwoStreamFile file;
  const auto self = self_communicator();
  const TwoStreamData data(file, *self, "images");
  const TwoStreamTraining training(*self);
  Stream without_hash = data.second(training.recipe());
  without_hash.order.constant_shares = true;
  const Stream first = data.first(training.recipe());
  CHECK(alike(first, without_hash).views == 70);
  CHECK(alike(first, without_hash).layers == 70);
  // The order alone: of the same lanes it is the first stream's.
  without_hash.order.lanes = first.order.lanes;
  CHECK(alike(first, without_hash).samples == 70);
}

TEST_CASE("streams may not be called what runs call their facts") {
  for (const char* name : {"range", "mean", "std", "lanes"})
    CHECK_THROWS_WITH(check_stream_name(name), Catch::Contains("may not be called") &&
                                                   Catch::Contains(concat("data.", name)));
  for (const char* name : {"", "Target", "a.b", "1st", "a b"})
    CHECK_THROWS_WITH(check_stream_name(name), Catch::Contains("begins with a letter"));
  for (const char* name : {"target", "t1", "other_domain"}) CHECK_NOTHROW(check_stream_name(name));
}
