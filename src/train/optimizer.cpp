#include "train/optimizer.h"

#include <cmath>
#include <deque>
#include <map>
#include <utility>

#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/updates.h"

namespace lacuna {

namespace {

// Parameters in groups: those with weight decay before biases and normalisation, without; of either
// those of each factor on the learning rate.
struct Group {
  bool decayed = false;
  double rate_factor = 1;
  std::vector<size_t> index;  // among the attached parameters
  std::vector<State*> parameters;
  std::vector<State*> first;   // momentum, or AdamW's first moment
  std::vector<State*> second;  // AdamW's second moment
};

// What an optimizer's update is made from.
struct Operands {
  const Group& group;
  std::vector<Tensor> gradients;  // of the group
  Tensor rate, clip;
  int64_t step;
  ForwardContext& forward;
};

// A table with sparse gradients, and copies of the rows that a step touches.
struct Table {
  State& whole;
  double rate_factor = 1;
  std::vector<State*> parts = {};  // this rank's of the table and of each optimizer's tensor
  // By number of rows, of which a run has one.
  std::map<int64_t, std::deque<State>> copies = {};

  std::deque<State>& copies_of(const Shape& rows) {
    std::deque<State>& made = copies[rows[0]];
    if (made.empty()) {
      for (const State* part : parts)
        made.emplace_back(part->device(), "rows of " + part->name(), part->dtype(), rows,
                          Role::buffer);
    }
    return made;
  }
};

class Grouped : public Optimizer {
 public:
  void set_rate_factor(RateFactor factor) final { rate_factor_ = std::move(factor); }

  void attach(StateStore& store, const std::vector<State*>& parameters,
              Communicator* shared_by) final {
    shared_by_ = shared_by;
    for (size_t i = 0; i < parameters.size(); ++i) {
      Group& group = group_of(*parameters[i]);
      group.index.push_back(i);
      group.parameters.push_back(&own_part(*parameters[i]));
      group.first.push_back(&make(store, first_name(), *parameters[i]));
      if (second_name() != nullptr)
        group.second.push_back(&make(store, second_name(), *parameters[i]));
    }
  }

  void record(const std::vector<Tensor>& gradients, const Tensor& rate, const Tensor& clip,
              int64_t step, ForwardContext& forward) final {
    for (const auto& [key, group] : groups_) {
      Operands operands{group, {}, rate_of(group, rate), clip, step, forward};
      for (const size_t i : group.index) operands.gradients.push_back(gradients[i]);
      forward.updates.push_back(update(operands));
    }
  }

  void attach_table(StateStore& store, State& table, Communicator* shared_by) final {
    LACUNA_CHECK(!table.decays() && table.shape().rank() == 2, "sparse gradients of \"",
                 table.name(), "\", which decays");
    shared_by_ = shared_by;
    Table& made = tables_.emplace_back(Table{.whole = table});
    made.rate_factor = rate_factor_ ? rate_factor_(table) : 1;
    made.parts = {&own_part(table), &make(store, first_name(), table)};
    if (second_name() != nullptr) made.parts.push_back(&make(store, second_name(), table));
  }

  // On copies of the touched rows, which go back behind it.
  void record_table(size_t number, const SparseGradient& gradient, const Tensor& rate,
                    const Tensor& clip, int64_t step, ForwardContext& forward) final {
    Table& table = tables_.at(number);
    std::deque<State>& copies = table.copies_of(gradient.values.shape());
    Group group;
    group.rate_factor = table.rate_factor;
    group.parameters = {&copies[0]};
    group.first = {&copies[1]};
    if (copies.size() > 2) group.second = {&copies[2]};
    std::vector<Update>& updates = forward.updates;
    for (size_t i = 0; i < copies.size(); ++i)
      updates.push_back(gather_rows(*table.parts[i], gradient.rows, copies[i]));
    updates.push_back(
        update({group, {gradient.values}, rate_of(group, rate), clip, step, forward}));
    for (size_t i = 0; i < copies.size(); ++i)
      updates.push_back(write_rows(copies[i], gradient.rows, *table.parts[i]));
    if (shared_by_ == nullptr) return;
    // Every rank's elements of the rows; those of the others are zeros.
    updates.push_back(gather_rows(*table.parts[0], gradient.rows, copies[0]));
    updates.push_back(sum_over_ranks(copies[0], *shared_by_));
    updates.push_back(write_rows(copies[0], gradient.rows, table.whole));
  }

 protected:
  virtual const char* first_name() const { return "momentum"; }
  virtual const char* second_name() const { return nullptr; }
  virtual Update update(const Operands& operands) = 0;
  // Of a whole tensor, from that of this rank's part.
  Tensor summed(const Tensor& of_part) const {
    return shared_by_ == nullptr ? of_part : all_reduce_sum(of_part, *shared_by_);
  }

 private:
  static Tensor rate_of(const Group& group, const Tensor& rate) {
    return group.rate_factor == 1 ? rate : scale(rate, group.rate_factor);
  }
  Group& group_of(const State& parameter) {
    const double factor = rate_factor_ ? rate_factor_(parameter) : 1;
    Group& group = groups_[{!parameter.decays(), factor}];
    group.decayed = parameter.decays();
    group.rate_factor = factor;
    return group;
  }
  State& own_part(State& parameter) {
    if (shared_by_ == nullptr) return parameter;
    return slices_.emplace_back(parameter, slice_of(parameter.shape(), *shared_by_),
                                slice_count(parameter.shape(), *shared_by_));
  }
  State& make(StateStore& store, const char* what, const State& parameter) const {
    const std::string name = concat("optimizer.", what, ".", parameter.name());
    State& made = shared_by_ == nullptr
                      ? store.create(name, parameter.dtype(), parameter.shape(), Role::optimizer)
                      : store.create_slice(name, parameter.dtype(), parameter.shape(),
                                           Role::optimizer, *shared_by_);
    return made.name_axes(parameter.axes());
  }
  Communicator* shared_by_ = nullptr;
  std::deque<State> slices_;  // of the parameters, where ranks share
  RateFactor rate_factor_;
  std::map<std::pair<bool, double>, Group> groups_;  // by "not decayed" and factor
  std::deque<Table> tables_;
};

class SgdOptimizer final : public Grouped {
 public:
  explicit SgdOptimizer(const Configuration& configuration)
      : momentum_(configuration.number("optimizer.momentum")),
        decay_(configuration.number("optimizer.weight_decay")) {}

 private:
  Update update(const Operands& o) override {
    return sgd_update(o.gradients, o.group.parameters, o.group.first, o.rate, o.clip,
                      {.momentum = momentum_, .decay = o.group.decayed ? decay_ : 0});
  }
  double momentum_, decay_;
};

class LarsOptimizer final : public Grouped {
 public:
  explicit LarsOptimizer(const Configuration& configuration)
      : momentum_(configuration.number("optimizer.momentum")),
        decay_(configuration.number("optimizer.weight_decay")),
        trust_(configuration.number("optimizer.trust")) {}

 private:
  // Biases and normalisation as SGD has it.
  Update update(const Operands& o) override {
    if (!o.group.decayed)
      return sgd_update(o.gradients, o.group.parameters, o.group.first, o.rate, o.clip,
                        {.momentum = momentum_, .decay = 0});
    std::vector<Tensor> weights;
    for (const State* weight : o.group.parameters) weights.push_back(weight->tensor());
    const Tensor norms = summed(lars_norms(o.gradients, weights, o.clip, decay_));
    return lars_update(o.gradients, o.group.parameters, o.group.first, o.rate, o.clip, norms,
                       {.momentum = momentum_, .decay = decay_, .trust = trust_});
  }
  double momentum_, decay_, trust_;
};

class AdamWOptimizer final : public Grouped {
 public:
  explicit AdamWOptimizer(const Configuration& configuration)
      : beta1_(configuration.number("optimizer.beta1")),
        beta2_(configuration.number("optimizer.beta2")),
        epsilon_(configuration.number("optimizer.epsilon")),
        decay_(configuration.number("optimizer.weight_decay")) {}

 private:
  const char* first_name() const override { return "first_moment"; }
  const char* second_name() const override { return "second_moment"; }
  Update update(const Operands& o) override {
    const auto t = static_cast<double>(o.step + 1);
    return adamw_update(o.gradients, o.group.parameters, o.group.first, o.group.second, o.rate,
                        o.clip, o.forward.value("adamw_correction1", 1 - std::pow(beta1_, t)),
                        o.forward.value("adamw_correction2", 1 - std::pow(beta2_, t)),
                        {.beta1 = beta1_,
                         .beta2 = beta2_,
                         .epsilon = epsilon_,
                         .decay = o.group.decayed ? decay_ : 0});
  }
  double beta1_, beta2_, epsilon_, decay_;
};

template <typename T>
std::unique_ptr<Optimizer> make(const Configuration& configuration) {
  return std::make_unique<T>(configuration);
}

Key momentum_key() {
  return key::number("optimizer.momentum", "0.9",
                     "Weight of the past in the running sum of gradients.")
      .min(0)
      .below(1);
}

struct Entry {
  const char* name;
  std::vector<Key> keys;
  std::unique_ptr<Optimizer> (*make)(const Configuration&);
};

std::vector<Entry> optimizers() {
  return {
      {"sgd", {momentum_key()}, make<SgdOptimizer>},
      {"lars",
       {momentum_key(), key::number("optimizer.trust", "0.001",
                                    "Size of a step relative to the norm of the weights.")
                            .above(0)},
       make<LarsOptimizer>},
      {"adamw",
       {key::number("optimizer.beta1", "0.9", "Decay of the mean of gradients.").min(0).below(1),
        key::number("optimizer.beta2", "0.999", "Decay of the mean of squared gradients.")
            .min(0)
            .below(1),
        key::number("optimizer.epsilon", "1e-8", "Added to the root of the mean square.").above(0)},
       make<AdamWOptimizer>},
  };
}

}  // namespace

std::vector<Key> optimizer_keys() {
  std::vector<std::string> names;
  for (const Entry& entry : optimizers()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("optimizer.name", names, "sgd", "How gradients change weights."),
      key::number("optimizer.lr", "0.1", "Peak learning rate; it is not scaled by the batch.")
          .above(0),
      key::number("optimizer.weight_decay", "1e-4",
                  "Weight decay; biases, normalisation and embeddings are left out.")
          .min(0),
      key::number("optimizer.clip", "0",
                  "Largest norm of the whole gradient; 0 leaves it as it is.")
          .min(0),
      key::number("optimizer.warmup", "0", "Length of the linear warm-up.").unit("epochs").min(0),
  };
  for (const Entry& entry : optimizers()) {
    for (Key own : entry.keys)
      all.push_back(std::move(own).only_if("optimizer.name", {entry.name}));
  }
  return all;
}

std::unique_ptr<Optimizer> make_optimizer(const Configuration& configuration) {
  for (const Entry& entry : optimizers()) {
    if (configuration.is("optimizer.name", entry.name)) return entry.make(configuration);
  }
  LACUNA_CHECK(false, "optimizer.name");
  return nullptr;
}

}  // namespace lacuna
