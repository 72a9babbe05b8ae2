#include "ops/collectives.h"

#include <catch2/catch.hpp>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"
#include "support/thread_communicators.h"

namespace lacuna::test::ops {

namespace {

// What each rank computes, by rank: the values of the tensors that `record` returns.
using Values = std::vector<std::vector<double>>;
std::vector<Values> on_each_rank(
    int ranks, const std::function<std::vector<Tensor>(Communicator&, Leaves&)>& record) {
  std::vector<Values> results(static_cast<size_t>(ranks));
  on_ranks(ranks, [&](Communicator& communicator) {
    const std::unique_ptr<Device> device = make_device("reference", 1);
    Leaves leaf;
    Executor executor(*device);
    const std::vector<Tensor> wanted = record(communicator, leaf);
    executor.run(wanted);
    for (size_t i = 0; i < wanted.size(); ++i) {
      results[static_cast<size_t>(communicator.rank())].push_back(to_doubles(executor.output(i)));
    }
  });
  return results;
}

}  // namespace

TEST_CASE("all_gather and its gradient over unequal rows", "[ops][ranks]") {
  // Rank r holds r rows of r + 1; each rank weighs the gathered rows with its own number.
  const auto results = on_each_rank(3, [](Communicator& communicator, Leaves& leaf) {
    const int r = communicator.rank();
    const Tensor x = leaf(Shape{r, 2}, std::vector<double>(2 * static_cast<size_t>(r), r + 1));
    const Tensor all = all_gather(x, communicator, {0, 1, 2});
    const Tensor seed = leaf(Shape{3, 2}, std::vector<double>(6, r == 0 ? 100 : r == 1 ? 10 : 1));
    return std::vector<Tensor>{all, differentiate(all, seed, {x})[0]};
  });
  for (const auto& rank : results) CHECK_CLOSE(rank[0], {2, 2, 3, 3, 3, 3});
  CHECK(results[0][1].empty());
  CHECK_CLOSE(results[1][1], {111, 111});
  CHECK_CLOSE(results[2][1], {111, 111, 111, 111});
}

TEST_CASE("reduce_scatter_sum and its gradient over unequal rows", "[ops][ranks]") {
  const auto results = on_each_rank(2, [](Communicator& communicator, Leaves& leaf) {
    const double r = communicator.rank();
    const Tensor x = leaf(Shape{3}, {1 + r, 10 + r, 100 + r});
    const Tensor mine = reduce_scatter_sum(x, communicator, {1, 2});
    const Tensor seed = communicator.rank() == 0 ? leaf(Shape{1}, {5}) : leaf(Shape{2}, {6, 7});
    return std::vector<Tensor>{mine, differentiate(mine, seed, {x})[0]};
  });
  CHECK_CLOSE(results[0][0], {3});
  CHECK_CLOSE(results[1][0], {21, 201});
  for (const auto& rank : results) CHECK_CLOSE(rank[1], {5, 6, 7});
}

TEST_CASE("all_reduce_sum brings back the sum of the ranks' gradients", "[ops][ranks]") {
  const auto results = on_each_rank(3, [](Communicator& communicator, Leaves& leaf) {
    const double r = communicator.rank();
    const Tensor x = leaf(Shape{2}, {r, 10 * r});
    const Tensor y = all_reduce_sum(x, communicator);
    return std::vector<Tensor>{y, x, differentiate(y, leaf(Shape{2}, {1, r}), {x})[0]};
  });
  for (size_t r = 0; r < 3; ++r) {
    CHECK_CLOSE(results[r][0], {3, 30});
    const auto rank = static_cast<double>(r);
    CHECK_CLOSE(results[r][1], {rank, 10 * rank});  // the operand is left as it is
    CHECK_CLOSE(results[r][2], {3, 3});
  }
}

TEST_CASE("buckets sum every tensor and may be under way together", "[ops][ranks]") {
  const auto results = on_each_rank(3, [](Communicator& communicator, Leaves& leaf) {
    const double r = communicator.rank();
    const Tensor a = leaf(Shape{2}, {r, 1});
    const Tensor b = leaf(Shape{1, 3}, {1, r, r * r});
    const Tensor c = leaf(Shape{}, {7});
    std::vector<Tensor> sums = all_reduce_bucket({scale(a, 2), b}, communicator);
    const std::vector<Tensor> second = all_reduce_bucket({scale(c, 3)}, communicator);
    sums.push_back(add(sums[0], sums[0]));
    sums.insert(sums.end(), second.begin(), second.end());
    return sums;
  });
  for (const auto& rank : results) {
    CHECK_CLOSE(rank[0], {6, 6});
    CHECK_CLOSE(rank[1], {3, 3, 5});
    CHECK_CLOSE(rank[2], {12, 12});
    CHECK_CLOSE(rank[3], {63});
  }
}

// 70 elements over three ranks are three vectors of 32, the last not whole.
TEST_CASE("sums are dealt out in slices, and slices gathered by a change of State",
          "[ops][ranks]") {
  constexpr int64_t count = 70;
  std::vector<std::vector<double>> states(3);
  const auto sums = on_each_rank(3, [&](Communicator& communicator, Leaves& leaf) {
    const double r = communicator.rank();
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(r * static_cast<double>(i));
    const std::unique_ptr<Device> device = make_device("reference", 1);
    StateStore store(*device);
    State& state = store.create("w", DType::f64, Shape{7, 10}, Role::parameter);
    state.fill([&](int64_t i) { return 100 * r + static_cast<double>(i); });
    State own(state, slice_of(state.shape(), communicator),
              slice_count(state.shape(), communicator));
    own.fill([&](int64_t i) { return -static_cast<double>(own.slice()->first + i); });
    Executor(*device).run({}, {gather_slices({&state}, communicator)});
    states[static_cast<size_t>(communicator.rank())] = state.values();
    return scatter_sums({leaf(Shape{7, 10}, values), leaf(Shape{1}, {1})}, communicator);
  });
  std::vector<double> dealt_out;
  for (const auto& rank : sums) dealt_out.insert(dealt_out.end(), rank[0].begin(), rank[0].end());
  for (size_t i = 0; i < count; ++i) {
    CHECK(dealt_out.at(i) == 3 * static_cast<double>(i));
    for (const auto& state : states) CHECK(state.at(i) == -static_cast<double>(i));
  }
  CHECK(sums[0][1].size() + sums[1][1].size() + sums[2][1].size() == 1);
}

TEST_CASE("collectives of one rank record nothing", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2}, {1, 2});
  const std::unique_ptr<Communicator> self = self_communicator();
  CHECK(all_gather(x, *self, {2}) == x);
  CHECK(reduce_scatter_sum(x, *self, {2}) == x);
  CHECK(all_reduce_sum(x, *self) == x);
  CHECK(all_reduce_bucket({x, x}, *self) == std::vector<Tensor>{x, x});
}

TEST_CASE("the gradient of gathered bfloat16 is summed in float32", "[ops][ranks]") {
  const auto communicators = thread_communicators(2);
  Leaves leaf;
  const Tensor x = leaf(Shape{1}, {1}, DType::bf16);
  const Tensor all = all_gather(x, *communicators[0], {1, 2});
  CHECK(all.dtype() == DType::bf16);
  const Tensor gradient = all.node()->operation->gradient(all.node(), {all})[0];
  CHECK(gradient.dtype() == DType::bf16);
  CHECK(gradient.node()->inputs[0].node()->operation == &reduce_scatter_sum_operation);
  CHECK(gradient.node()->inputs[0].dtype() == DType::f32);
}

TEST_CASE("collectives refuse rows that do not fit", "[ops]") {
  const auto communicators = thread_communicators(2);
  Leaves leaf;
  const Tensor x = leaf(Shape{2}, {1, 2});
  CHECK_THAT(death_message([&] {
               all_gather(x, *communicators[0], {1, 2});
             }),
             Catch::Contains("all_gather of [2] where rank 0 has 1 rows"));
  CHECK_THAT(death_message([&] { all_gather(x, *communicators[0], {2}); }),
             Catch::Contains("with rows of 1 ranks of 2"));
  CHECK_THAT(death_message([&] {
               all_reduce_bucket({x, cast(x, DType::f32)}, *communicators[0]);
             }),
             Catch::Contains("all_reduce_bucket of float64 and float32"));
  CHECK_THAT(death_message([&] { all_reduce_sum(cast(x, DType::bf16), *communicators[0]); }),
             Catch::Contains("all_reduce_sum of bfloat16"));
}

}  // namespace lacuna::test::ops
