// Scope: where a layer makes its State: a store, a dotted name, the seed and the parameters' dtype.
#pragma once

#include <cmath>
#include <string>

#include "base/random.h"
#include "graph/state.h"

namespace lacuna {

class Scope {
 public:
  Scope(StateStore& store, uint64_t seed, std::string prefix = "")
      : store_(&store), seed_(seed), prefix_(std::move(prefix)) {}

  // The scope of a part: names become "prefix.name".
  Scope operator/(const std::string& name) const { return {*store_, seed_, full(name)}; }
  const std::string& prefix() const { return prefix_; }
  StateStore& store() const { return *store_; }
  uint64_t seed() const { return seed_; }

  // A parameter drawn from N(0, deviation^2); each element is a function of (seed, full name,
  // index).
  State& normal(const std::string& name, const Shape& shape, double deviation) const {
    State& state = create(name, shape, Role::parameter);
    const Draws draws(seed_, Purpose::initial_weights, hash_name(state.name()));
    state.fill([&](int64_t i) { return deviation * draws.normal(static_cast<uint32_t>(i)); });
    return state;
  }
  // A parameter or buffer of one value.
  State& constant(const std::string& name, const Shape& shape, double value,
                  Role role = Role::parameter) const {
    State& state = create(name, shape, role);
    state.fill([&](int64_t) { return value; });
    return state;
  }

 private:
  std::string full(const std::string& name) const {
    return prefix_.empty() ? name : prefix_ + "." + name;
  }
  State& create(const std::string& name, const Shape& shape, Role role) const {
    return store_->create(full(name), store_->device().parameter_dtype(), shape, role);
  }
  StateStore* store_;
  uint64_t seed_;
  std::string prefix_;
};

}  // namespace lacuna
