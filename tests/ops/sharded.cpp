#include "ops/sharded.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "ops/collectives.h"
#include "ops/evaluate.h"
#include "support/thread_communicators.h"

namespace lacuna::test::ops {

namespace {

std::vector<double> part_of(const std::vector<double>& values, int64_t per_row, int64_t first,
                            int64_t rows) {
  const auto begin = values.begin() + first * per_row;
  return {begin, begin + rows * per_row};
}

struct RankResult {
  std::vector<std::vector<double>> sums;       // loss, gradients of parameters
  std::vector<std::vector<double>> gradients;  // of row operands
};

RankResult run_rank(const ShardedModel& model, const std::vector<std::vector<double>>& values,
                    Communicator& communicator, const std::vector<int64_t>& rows) {
  const auto rank = static_cast<size_t>(communicator.rank());
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Leaves leaf;
  const int64_t first = std::accumulate(rows.begin(), rows.begin() + rank, int64_t{0});
  Shard shard{communicator, rows, leaf(Shape{}, {static_cast<double>(first)}, DType::i64), {}, {}};
  std::vector<Tensor> by;
  for (size_t i = 0; i < model.rows.size(); ++i) {
    Shape shape = model.rows[i].shape;
    shape.set(0, rows[rank]);
    shard.rows.push_back(leaf(shape, part_of(values[i], shape.from(1).count(), first, rows[rank])));
    if (model.rows[i].differentiable) by.push_back(shard.rows.back());
  }
  const size_t row_operands = by.size();
  for (size_t i = 0; i < model.parameters.size(); ++i) {
    shard.parameters.push_back(leaf(model.parameters[i].shape, values[model.rows.size() + i]));
    by.push_back(shard.parameters.back());
  }
  const Tensor loss = model.loss(shard);
  std::vector<Tensor> gradients = differentiate(loss, leaf.scalar(1), by);
  std::vector<Tensor> to_sum(gradients.begin() + static_cast<ptrdiff_t>(row_operands),
                             gradients.end());
  to_sum.insert(to_sum.begin(), loss);
  gradients.resize(row_operands);

  std::vector<Tensor> wanted = all_reduce_bucket(to_sum, communicator);
  wanted.insert(wanted.end(), gradients.begin(), gradients.end());
  Executor executor(*device);
  executor.run(wanted);
  RankResult result;
  for (size_t i = 0; i < wanted.size(); ++i) {
    (i < to_sum.size() ? result.sums : result.gradients).push_back(to_doubles(executor.output(i)));
  }
  return result;
}

}  // namespace

std::vector<std::vector<double>> sharded(const ShardedModel& model,
                                         const std::vector<int64_t>& rows) {
  Case operands = {"sharded", model.rows, nullptr};
  operands.operands.insert(operands.operands.end(), model.parameters.begin(),
                           model.parameters.end());
  const auto values = operand_values(operands, DType::f64);
  std::vector<RankResult> ranks(rows.size());
  on_ranks(static_cast<int>(rows.size()), [&](Communicator& communicator) {
    ranks[static_cast<size_t>(communicator.rank())] = run_rank(model, values, communicator, rows);
  });
  for (const RankResult& rank : ranks) CHECK(rank.sums == ranks[0].sums);
  std::vector<std::vector<double>> results = ranks[0].sums;
  for (size_t i = 0; i < ranks[0].gradients.size(); ++i) {
    std::vector<double> all;
    for (const RankResult& rank : ranks) {
      all.insert(all.end(), rank.gradients[i].begin(), rank.gradients[i].end());
    }
    results.push_back(all);
  }
  return results;
}

}  // namespace lacuna::test::ops
