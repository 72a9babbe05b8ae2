#include "support/table_training.h"

#include <numeric>

#include "nn/embedding.h"
#include "nn/layers.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/squared_error.h"
#include "ops/tokens.h"

namespace lacuna::testing {

namespace {

constexpr int64_t length = 3;
constexpr int64_t more = 2;

Configuration configuration_of(const TableSetup& setup) {
  Schema schema;
  schema.add(optimizer_keys());
  std::vector<std::string> keys = setup.keys;
  keys.push_back("optimizer.name=" + setup.optimizer);
  return Configuration::from_text("", schema, "optimizer", keys);
}

struct Batch {
  HostTensor ids, others, target;
  Fields fields() const {
    Fields fields;
    fields.add("ids", host_leaf("ids", ids));
    fields.add("others", host_leaf("others", others));
    fields.add("target", host_leaf("target", target));
    return fields;
  }
};

}  // namespace

struct TableTraining::Parts {
  TableSetup setup;
  Device& device;
  std::vector<int64_t> rows;
  int64_t first;
  StateStore store;
  Embedding words;
  Linear head;
  Trainer trainer;

  Parts(const TableSetup& how, Device& on, Communicator& communicator,
        std::vector<int64_t> of_ranks)
      : setup(how),
        device(on),
        rows(std::move(of_ranks)),
        first(std::accumulate(rows.begin(), rows.begin() + communicator.rank(), int64_t{0})),
        store(on),
        words(Scope(store, 2, "words"), how.vocabulary, features, 1, how.sparse),
        head(Scope(store, 2, "head"), features, features),
        trainer(
            on, communicator, store,
            [this](const Fields& fields, ForwardContext& forward) { return loss(fields, forward); },
            make_optimizer(configuration_of(how)),
            {.compute = on.parameter_dtype(),
             .clip = how.clip,
             .shard_optimizer = how.shard,
             .micro_batches = how.micro_batches,
             .plan = {}}) {
    count = rows[static_cast<size_t>(communicator.rank())];
    trainer.prepare(batch_of(0).fields(), rows);
  }

  Tensor loss(const Fields& fields, ForwardContext& forward) const {
    Tensor x = words(fields["ids"], forward);
    if (setup.twice) {
      x = add(x, place_tokens(words(fields["others"], forward), 0, length));
    }
    return squared_error(head(x, forward), fields["target"],
                         1.0 / static_cast<double>(forward.global_rows()));
  }
  // Of a sample of this rank.
  Draws draws_of(uint64_t seed, int64_t step, int64_t sample) const {
    return {seed, Purpose::test, static_cast<uint64_t>(step * batch + first + sample)};
  }
  Batch batch_of(int64_t step) const {
    const DType dtype = device.parameter_dtype();
    const auto ids = [&](DType type, int64_t width, uint64_t of) {
      std::vector<double> all;
      for (int64_t i = 0; i < count * width; ++i) {
        const auto values = static_cast<uint64_t>(setup.vocabulary + 1);
        const uint64_t id =
            draws_of(of, step, i / width).below(static_cast<uint32_t>(i % width), values);
        all.push_back(static_cast<double>(id) - 1);
      }
      return test::ops::from_doubles(type, Shape{count, width}, all);
    };
    constexpr int64_t of_sample = length * features;
    std::vector<double> target;
    for (int64_t i = 0; i < count * of_sample; ++i)
      target.push_back(
          draws_of(9, step, i / of_sample).normal(static_cast<uint32_t>(i % of_sample)));
    return {ids(DType::i64, length, 3), ids(DType::i32, more, 4),
            test::ops::from_doubles(dtype, Shape{count, length, features}, target)};
  }

  int64_t count = 0;  // samples of this rank
};

TableTraining::TableTraining(const TableSetup& setup, Device& device, Communicator& communicator,
                             std::vector<int64_t> rows)
    : parts_(std::make_unique<Parts>(setup, device, communicator, std::move(rows))) {}
TableTraining::~TableTraining() = default;

StepResult TableTraining::step(int64_t step) {
  const Batch of_step = parts_->batch_of(step);
  return parts_->trainer.step(of_step.fields(), parts_->rows, step, 0.1, 0);
}

std::vector<double> TableTraining::gradient(int64_t step) {
  const Batch of_step = parts_->batch_of(step);
  return test::ops::to_doubles(
      parts_->trainer.gradients(of_step.fields(), parts_->rows).at(table_name));
}

std::map<std::string, std::vector<double>> TableTraining::state() const {
  std::map<std::string, std::vector<double>> all;
  for (const State& state : parts_->store.all()) all[state.name()] = state.values();
  return all;
}

const Executor& TableTraining::executor() const { return parts_->trainer.executor(); }

}  // namespace lacuna::testing
