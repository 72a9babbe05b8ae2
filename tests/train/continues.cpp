// Save, destroy, reload at every step: every objective of the list gives the losses and the State
// of an uninterrupted training, bit for bit. And faults, planted, that the same comparison must
// find.
#include <catch2/catch.hpp>

#include <cstring>

#include "run/checkpoint.h"
#include "run/stored_state.h"
#include "support/cells.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

constexpr int64_t rows = 6;
constexpr int64_t steps = 5;

// A model in training, which lives from one checkpoint to the next.
class Life {
 public:
  explicit Life(const std::string& objective, const std::string& encoder = "")
      : self_(self_communicator()),
        experiment_(objective, "cpu", 1, *self_,
                    {.size = 8, .channels = 1, .width = 4, .encoder = encoder}) {
    experiment_.trainer().prepare(batch(0).fields(), {rows});
  }

  double step(int64_t number, int64_t shift = 0) {
    return experiment_.trainer()
        .step(batch(number * rows + shift).fields(), {rows}, number, 0.05,
              static_cast<double>(number) / steps)
        .loss;
  }
  void save(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const CheckpointInfo info;
    const StoredState stored(experiment_.store(), *self_, true);
    const StoredPart part = write_part(folder, 0, info, stored.tensors());
    write_manifest(folder, info, {&part, 1});
  }
  void load(const std::filesystem::path& folder) {
    load_tensors(read_checkpoint(folder), tensor_targets(experiment_.store()), Match::all);
  }
  StateStore& store() { return experiment_.store(); }
  std::map<std::string, std::string> bytes() {
    std::map<std::string, std::string> all;
    const StoredState stored(experiment_.store(), *self_, true);
    for (const NamedTensor& tensor : stored.tensors()) {
      const auto count = static_cast<size_t>(tensor.shape.count()) * size_of(tensor.dtype);
      all[tensor.name] = {static_cast<const char*>(tensor.data), count};
    }
    return all;
  }

 private:
  SmallBatch batch(int64_t first) const { return experiment_.batch(first, first + rows); }

  std::unique_ptr<Communicator> self_;
  SmallExperiment experiment_;
};

// What a training leaves that can be compared.
struct Trace {
  std::vector<double> losses;
  std::map<std::string, std::string> state;
  friend bool operator==(const Trace&, const Trace&) = default;
};

Trace uninterrupted(const std::string& objective, const std::string& encoder = "") {
  Life life(objective, encoder);
  Trace trace;
  for (int64_t step = 0; step < steps; ++step) trace.losses.push_back(life.step(step));
  trace.state = life.bytes();
  return trace;
}

Trace reloaded_at_every_step(const std::string& objective, const std::string& encoder) {
  const TemporaryFolder folder;
  Trace trace;
  for (int64_t step = 0; step < steps; ++step) {
    Life life(objective, encoder);
    if (step > 0) life.load(folder / std::to_string(step));
    trace.losses.push_back(life.step(step));
    life.save(folder / std::to_string(step + 1));
    trace.state = life.bytes();
  }
  return trace;
}

// A training that begins anew after its first two steps, with a fault.
Trace restarted(const std::string& objective, const std::function<void(StateStore&)>& after_loading,
                int64_t shift = 0) {
  const TemporaryFolder folder;
  Trace trace;
  {
    Life life(objective);
    for (int64_t step = 0; step < 2; ++step) trace.losses.push_back(life.step(step));
    life.save(folder / "saved");
  }
  Life life(objective);
  life.load(folder / "saved");
  after_loading(life.store());
  for (int64_t step = 2; step < steps; ++step) trace.losses.push_back(life.step(step, shift));
  trace.state = life.bytes();
  return trace;
}

// As it is in a new run that finds it in no checkpoint.
void forget(StateStore& store, const std::string& objective, const std::string& name) {
  Life fresh(objective);
  std::string bytes = fresh.bytes().at(name);
  store.find(name)->write(bytes.data());
}

}  // namespace

TEST_CASE("every objective goes on bit for bit when saved and reloaded at every step") {
  for (const std::string& objective : chosen_cells(every_cell())) {
    CAPTURE(objective);
    CHECK(reloaded_at_every_step(objective, "") == uninterrupted(objective));
  }
}

TEST_CASE("a vision transformer that drops blocks goes on bit for bit") {
  for (const std::string& objective : every_cell()) {
    if (Cell(objective).kind != "image") continue;
    CAPTURE(objective);
    CHECK(reloaded_at_every_step(objective, small_vit) == uninterrupted(objective, small_vit));
  }
}

TEST_CASE("planted fault: any one State tensor that is not saved is found") {
  for (const std::string& objective : chosen_cells(every_cell())) {
    const Trace whole = uninterrupted(objective);
    CHECK(restarted(objective, [](StateStore&) {}) == whole);
    int64_t number = 0;
    for (const auto& saved : whole.state) {
      const std::string& name = saved.first;
      // Every seventh tensor: all would take a minute.
      if (number++ % 7 != 0) continue;
      CAPTURE(objective, name);
      CHECK_FALSE(restarted(objective,
                            [&](StateStore& store) { forget(store, objective, name); }) == whole);
    }
  }
}

TEST_CASE("planted fault: a position that is off by one sample is found") {
  for (const std::string& objective : chosen_cells(every_cell())) {
    CAPTURE(objective);
    const Trace whole = uninterrupted(objective);
    CHECK(restarted(
              objective, [](StateStore&) {}, 1)
              .losses != whole.losses);
  }
}

TEST_CASE("planted fault: momenta that begin anew are found in the losses") {
  for (const std::string& objective : chosen_cells(every_cell())) {
    CAPTURE(objective);
    const Trace whole = uninterrupted(objective);
    const Trace found = restarted(objective, [](StateStore& store) {
      for (State* state : store.select("", Role::optimizer)) state->fill([](int64_t) { return 0; });
    });
    CHECK(found.losses != whole.losses);
  }
}
