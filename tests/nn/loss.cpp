// Means over counts that differ from rank to rank: the same on any number of ranks, a planted
// fault, and what a mean of nothing is.
#include "nn/loss.h"

#include <catch2/catch.hpp>

#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/matrix_product.h"
#include "ops/scalars.h"
#include "ops/shape.h"
#include "ops/sharded.h"
#include "ops/squared_error.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

ForwardContext forward_context_of(Communicator& communicator, std::vector<int64_t> rows) {
  return {.communicator = communicator,
          .compute = DType::f64,
          .parameters = DType::f64,
          .rows = std::move(rows)};
}

// Of 6 samples of 4 positions none counts of the first, and then more and more.
Operand rising_mask() {
  return {Operand::Kind::activation, Shape{6, 4},
          [](const Draws&, uint32_t i) { return i % 4 < i / 4 ? 1.0 : 0.0; }, false};
}

// Every second position of the last sample.
Operand sparse_mask() {
  return {Operand::Kind::activation, Shape{6, 4},
          [](const Draws&, uint32_t i) { return i >= 20 && i % 2 == 0 ? 1.0 : 0.0; }, false};
}

LossTerm squared_error_where(const Tensor& y, const Tensor& target, const Tensor& mask) {
  const Tensor positions = reshape(mask, {mask.shape()[0], mask.shape()[1], 1});
  return {squared_error(y, target, 1, positions), squared_norm({mask})};
}

using Share = Tensor (*)(const std::vector<LossTerm>& terms, ForwardContext& forward);

// The squared error of a linear layer at the positions of two masks, of which one weighs 0.3.
ShardedModel masked_errors(Share share) {
  const Shape x{6, 4, 3};
  return {{activation(x), constant(activation(x)), rising_mask(), sparse_mask()},
          {parameter(Shape{3, 3})},
          [=](const Shard& shard) {
            ForwardContext forward = forward_context_of(shard.communicator, shard.rows_of_ranks);
            const Shape& shape = shard.rows[0].shape();
            const Tensor rows = reshape(shard.rows[0], {shape[0] * 4, 3});
            const Tensor y = reshape(linear(rows, shard.parameters[0], {}), shape);
            LossTerm second = squared_error_where(y, shard.rows[1], shard.rows[3]);
            static constexpr double weight = 0.3;  // read when the graph runs
            second.weight = host_leaf("weight", DType::f64, Shape{}, &weight);
            return share({squared_error_where(y, shard.rows[1], shard.rows[2]), second}, forward);
          }};
}

// The planted fault: the mean of the ranks' means.
Tensor share_of_own_means(const std::vector<LossTerm>& terms, ForwardContext& forward) {
  Tensor all;
  for (const LossTerm& term : terms) {
    Tensor mean = scale_by(term.numerator, inverse_count(term.denominator));
    mean = scale(mean, 1.0 / forward.communicator.size());
    if (term.weight.defined()) mean = scale_by(mean, term.weight);
    all = all.defined() ? add(all, mean) : mean;
  }
  return all;
}

const std::vector<std::vector<int64_t>> divisions = {{1, 5}, {4, 2}, {2, 1, 3}, {2, 0, 4}};

}  // namespace

TEST_CASE("means over counts do not depend on how they lie on ranks", "[ranks]") {
  const ShardedModel model = masked_errors(share_of_means);
  const auto expected = sharded(model, {6});
  for (const std::vector<int64_t>& rows : divisions) {
    const auto actual = sharded(model, rows);
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO("on " << rows.size() << " ranks, result " << i);
      CHECK(relative_error(actual[i], expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("dividing by a rank's own count is noticed", "[ranks][fault]") {
  const auto expected = sharded(masked_errors(share_of_means), {6});
  const ShardedModel faulty = masked_errors(share_of_own_means);
  CHECK(relative_error(sharded(faulty, {6})[0], expected[0]) < 1e-12);
  for (const std::vector<int64_t>& rows : divisions) {
    const auto actual = sharded(faulty, rows);
    for (size_t i = 0; i < 3; ++i) CHECK(relative_error(actual[i], expected[i]) > 1e-3);
  }
}

TEST_CASE("a mean over counts has the gradient of finite differences") {
  const auto alone = self_communicator();
  const Shape x{6, 4, 3};
  const Case test = {"share_of_means",
                     {activation(x), activation(x), rising_mask(), sparse_mask()},
                     [&](const std::vector<Tensor>& t) {
                       ForwardContext forward = forward_context_of(*alone, {6});
                       return share_of_means({squared_error_where(t[0], t[1], t[2]),
                                              squared_error_where(t[0], t[1], t[3])},
                                             forward);
                     }};
  CHECK(gradient_error(test) < 1e-8);
}

TEST_CASE("a mean is its sum over its count, and that of nothing is 0") {
  const auto alone = self_communicator();
  ForwardContext forward = forward_context_of(*alone, {1});
  Leaves leaf;
  const Tensor sum = leaf.scalar(6), three = leaf.scalar(3), none = leaf.scalar(0);
  CHECK_CLOSE(compute(share_of_means({{sum, three}}, forward)), {2});
  CHECK_CLOSE(compute(share_of_means({{sum, three, leaf.scalar(0.5)}, {sum, sum}}, forward)), {2});
  const Tensor x = leaf(Shape{1, 2, 1}, {1, 2});
  const Tensor hidden = leaf(Shape{1, 2}, {0, 0});
  const Tensor loss = share_of_means({squared_error_where(x, x, hidden), {none, none}}, forward);
  CHECK(compute(loss) == std::vector<double>{0});
  CHECK(compute_gradients(loss, {x})[0] == std::vector<double>{0, 0});
  CHECK_THAT(death_message([&] {
               share_of_means({{x, three}}, forward);
             }),
             Catch::Contains("a mean of float64 [1, 2, 1] over float64 []"));
}

}  // namespace lacuna::test::ops
