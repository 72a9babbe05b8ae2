// The optimizer's State dealt out to the ranks (ZeRO stage 1): the same weights as with a whole
// copy on every rank, a share of the memory, and checkpoints of whole tensors, which any number of
// ranks continues from.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include "comm/forwarding.h"
#include "ranks/world.h"
#include "run/checkpoint.h"
#include "run/stored_state.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t batch = 12;
constexpr int64_t steps = 4;

struct Setup {
  std::string optimizer = "adamw";
  std::string device = "cpu";
  double clip = 0;
  bool shard = true;
  int64_t micro_batches = 1;
};

class Training {
 public:
  Training(const Setup& setup, Communicator& communicator)
      : communicator_(communicator),
        micro_batches_(setup.micro_batches),
        experiment_("rotation", setup.device, 1, communicator, {}, options(setup),
                    concat("[optimizer]\nname = \"", setup.optimizer, "\"\n")) {
    for (int r = 0; r < communicator.size(); ++r) rows_.push_back(first(r + 1) - first(r));
    experiment_.trainer().prepare(of_step(0).fields(), rows_);
  }

  void train(int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      for (int64_t part = 1; part < micro_batches_; ++part)
        experiment_.trainer().accumulate(of_step(100 * part + step).fields(), rows_, step, 0);
      norm_ =
          experiment_.trainer().step(of_step(step).fields(), rows_, step, 0.01, 0).gradient_norm;
    }
  }
  double norm() const { return norm_; }
  StateStore& store() { return experiment_.store(); }
  // What a checkpoint would hold, by name.
  std::map<std::string, std::string> whole() {
    const StoredState stored(store(), communicator_, true);
    std::map<std::string, std::string> all;
    for (const NamedTensor& tensor : stored.tensors()) {
      const auto bytes = static_cast<size_t>(tensor.shape.count()) * size_of(tensor.dtype);
      all[tensor.name] = {static_cast<const char*>(tensor.data), bytes};
    }
    return all;
  }
  size_t optimizer_bytes() {
    size_t bytes = 0;
    for (const State* state : store().select("", Role::optimizer)) bytes += state->bytes();
    return bytes;
  }

 private:
  static StepOptions options(const Setup& setup) {
    StepOptions options;
    options.clip = setup.clip;
    options.shard_optimizer = setup.shard;
    options.bucket_bytes = 4096;
    options.micro_batches = setup.micro_batches;
    return options;
  }
  int64_t first(int rank) const { return rank * batch / communicator_.size(); }
  SmallBatch of_step(int64_t step) const {
    const int rank = communicator_.rank();
    return experiment_.batch(step * batch + first(rank), step * batch + first(rank + 1));
  }

  Communicator& communicator_;
  int64_t micro_batches_;
  SmallExperiment experiment_;
  std::vector<int64_t> rows_;
  double norm_ = 0;
};

double largest_difference(const std::map<std::string, std::string>& a,
                          const std::map<std::string, std::string>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (const auto& [name, bytes] : a) {
    std::vector<double> x(bytes.size() / sizeof(double));
    std::vector<double> y(x.size());
    std::memcpy(x.data(), bytes.data(), bytes.size());
    std::memcpy(y.data(), b.at(name).data(), bytes.size());
    for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - y[i]));
  }
  return worst;
}

// The slices of the other ranks never come.
class WithoutGather final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  Request gather_slices(std::span<const Term>, DType) override { return {}; }
};

}  // namespace

namespace {

// The same training with the optimizer's State in slices, and whole on every rank.
struct Both {
  explicit Both(const Setup& setup) : sharded(setup, world()), whole(unsharded(setup), world()) {
    sharded.train(0, steps);
    whole.train(0, steps);
  }
  static Setup unsharded(Setup setup) {
    setup.shard = false;
    return setup;
  }
  Training sharded, whole;
};

}  // namespace

TEST_CASE("a sharded optimizer gives the weights and momenta of a whole one, bit for bit") {
  for (const Setup& setup : {Setup{.optimizer = "sgd"}, Setup{.optimizer = "adamw"},
                             Setup{.optimizer = "adamw", .micro_batches = 2}}) {
    CAPTURE(setup.optimizer, setup.micro_batches);
    Both both(setup);
    CHECK(both.sharded.whole() == both.whole.whole());
  }
}

// Norms are sums, and these are made in another order.
TEST_CASE("in double a sharded optimizer that needs norms gives the weights of a whole one") {
  for (const Setup& setup : {Setup{.optimizer = "lars", .device = "reference"},
                             Setup{.optimizer = "lars", .device = "reference", .clip = 0.1},
                             Setup{.optimizer = "adamw", .device = "reference", .clip = 0.1}}) {
    CAPTURE(setup.optimizer, setup.clip);
    Both both(setup);
    CHECK(std::abs(both.sharded.norm() - both.whole.norm()) <= 1e-12 * both.whole.norm());
    CHECK(largest_difference(both.sharded.whole(), both.whole.whole()) < 1e-12);
  }
}

TEST_CASE("ranks share the memory of a sharded optimizer evenly") {
  Training sharded({}, world());
  Training whole({.shard = false}, world());
  auto sum = static_cast<int64_t>(sharded.optimizer_bytes());
  world().all_reduce_sum(&sum, 1, DType::i64).wait();
  CHECK(static_cast<size_t>(sum) == whole.optimizer_bytes());
  const double share = static_cast<double>(sharded.optimizer_bytes()) * world().size() /
                       static_cast<double>(whole.optimizer_bytes());
  CHECK(share < 1.1);
}

TEST_CASE("a checkpoint of a sharded optimizer continues on one rank, and the other way round") {
  const TemporaryFolder folder;
  const auto self = self_communicator();
  const auto save = [&](Training& from, Communicator& over, const char* name) {
    const StoredState stored(from.store(), over, true);
    const auto to = folder.path() / name;
    std::filesystem::create_directories(to);
    const StoredPart part = write_part(to, 0, {}, stored.tensors());
    write_manifest(to, {}, {&part, 1});
    return read_checkpoint(to);
  };
  Training many({}, world());
  many.train(0, 2);
  Training one({}, *self);
  load_tensors(save(many, world(), "many"), tensor_targets(one.store()), Match::all);
  CHECK(one.whole() == many.whole());

  Training again({}, world());
  load_tensors(save(one, *self, "one"), tensor_targets(again.store()), Match::all);
  CHECK(again.whole() == many.whole());
  many.train(2, steps);
  again.train(2, steps);
  CHECK(again.whole() == many.whole());
}

TEST_CASE("planted fault: without the other ranks' slices the comparison fails") {
  if (world().size() == 1) return;
  WithoutGather faulty(world());
  Training sharded({.optimizer = "sgd"}, faulty);
  Training whole({.optimizer = "sgd", .shard = false}, world());
  sharded.train(0, 2);
  whole.train(0, 2);
  CHECK(sharded.store().find("encoder.conv1.weight")->values() !=
        whole.store().find("encoder.conv1.weight")->values());
}
