#include "ops/batch_norm.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/masks.h"
#include "ops/shape.h"
#include "ops/sharded.h"
#include "ops/squared_error.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

Case batch_norm_case(const std::string& name, const Shape& x, bool relu, bool residual,
                     bool fixed = false, bool large = false) {
  const Shape channels{x[-1]};
  std::vector<Operand> operands = {activation(x, 2, 1), parameter(channels, 0.3, 1),
                                   parameter(channels)};
  if (fixed) {
    operands.push_back(constant(parameter(channels)));
    operands.push_back(constant(positive(Operand::Kind::parameter, channels)));
  }
  if (residual) operands.push_back(activation(x));
  return {"batch_norm " + name, operands,
          [=](const std::vector<Tensor>& t) {
            const Tensor moments = fixed ? fixed_moments(t[3], t[4]) : batch_moments(t[0], nullptr);
            return batch_norm(
                t[0], moments, t[1], t[2],
                {.epsilon = 0.01, .relu = relu, .residual = residual ? t.back() : Tensor()});
          },
          true, large};
}

Tensor masked(const Tensor& x, const Tensor& mask, const Tensor& gamma, const Tensor& beta,
              bool relu, const Tensor& residual = {}, Communicator* communicator = nullptr) {
  const Tensor kept = keep(x, mask);
  return batch_norm(kept, batch_moments(kept, communicator, mask), gamma, beta,
                    {.epsilon = 0.01,
                     .relu = relu,
                     .residual = residual,
                     .communicator = communicator,
                     .mask = mask});
}

Case masked_case(const std::string& name, const Shape& x, bool relu, bool residual,
                 bool large = false) {
  const Shape channels{x[-1]};
  std::vector<Operand> operands = {activation(x, 2, 1), mask(x.slice(0, x.rank() - 1)),
                                   parameter(channels, 0.3, 1), parameter(channels)};
  if (residual) operands.push_back(activation(x));
  return {"masked batch_norm " + name, operands,
          [=](const std::vector<Tensor>& t) {
            return masked(t[0], t[1], t[2], t[3], relu, residual ? t[4] : Tensor());
          },
          true, large};
}

// 1 for the first positions of each of 6 samples of 4, of which the first sample has none.
Operand rising_mask() {
  return {Operand::Kind::activation, Shape{6, 4},
          [](const Draws&, uint32_t i) { return i % 4 < i / 4 ? 1.0 : 0.0; }, false};
}

// As batch_norm_over_ranks, where the mask shows few positions on some ranks, or none; or, the
// fault, with the statistics of all positions.
ShardedModel masked_over_ranks(bool fault = false) {
  const Shape x{6, 4, 5};
  return {{activation(x, 2, 1), activation(x), constant(activation(x)), rising_mask()},
          {parameter(Shape{5}, 0.3, 1), parameter(Shape{5})},
          [=](const Shard& shard) {
            const Tensor& mask = shard.rows[3];
            Tensor y;
            if (fault) {
              const Tensor kept = keep(shard.rows[0], mask);
              const Tensor moments = batch_moments(kept, &shard.communicator);
              y = batch_norm(
                  kept, moments, shard.parameters[0], shard.parameters[1],
                  {.relu = true, .residual = shard.rows[1], .communicator = &shard.communicator});
              y = keep(y, mask);
            } else {
              y = masked(shard.rows[0], mask, shard.parameters[0], shard.parameters[1], true,
                         shard.rows[1], &shard.communicator);
            }
            return squared_error(y, shard.rows[2], 0.1);
          }};
}

// relu(batch_norm(x) + residual) against a target, over the ranks of a communicator.
ShardedModel batch_norm_over_ranks(bool synchronised = true) {
  const Shape x{6, 3, 2, 5};
  return {{activation(x, 2, 1), activation(x), constant(activation(x))},
          {parameter(Shape{5}, 0.3, 1), parameter(Shape{5})},
          [=](const Shard& shard) {
            Communicator* communicator = synchronised ? &shard.communicator : nullptr;
            const Tensor moments = batch_moments(shard.rows[0], communicator);
            const Tensor y =
                batch_norm(shard.rows[0], moments, shard.parameters[0], shard.parameters[1],
                           {.relu = true, .residual = shard.rows[1], .communicator = communicator});
            return squared_error(y, shard.rows[2], 0.1);
          }};
}

double value_at(const HostTensor& tensor, int64_t k) {
  const auto at = static_cast<size_t>(k);
  return tensor.dtype() == DType::f64 ? tensor.as<double>()[at]
                                      : static_cast<double>(tensor.as<float>()[at]);
}

}  // namespace

std::vector<Case> batch_norm_cases() {
  const Shape odd{3, 3, 2, 5};
  return {
      batch_norm_case("plain", odd, false, false),
      batch_norm_case("with ReLU", odd, true, false),
      batch_norm_case("with residual", odd, false, true),
      batch_norm_case("with residual and ReLU", odd, true, true),
      batch_norm_case("of rows", Shape{7, 3}, true, false),
      batch_norm_case("with fixed moments", odd, false, false, true),
      batch_norm_case("with fixed moments and all", odd, true, true, true),
      batch_norm_case("of many", Shape{7, 9, 5, 35}, true, true, false, true),
      batch_norm_case("of many rows", Shape{130, 129}, true, false, false, true),
      masked_case("plain", Shape{3, 4, 5}, false, false),
      masked_case("with ReLU", Shape{3, 4, 5}, true, false),
      masked_case("with residual", Shape{3, 4, 5}, false, true),
      masked_case("with residual and ReLU", odd, true, true),
      masked_case("of many", Shape{7, 90, 35}, true, true, true),
      masked_case("of many and ReLU", Shape{5, 70, 129}, true, false, true),
      {"batch_moments",
       {activation(odd, 3, 10)},
       [](const auto& x) { return batch_moments(x[0], nullptr); },
       false},
  };
}

TEST_CASE("batch norm has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {1, 10, 3, 10});
  const Tensor gamma = leaf(Shape{2}, {2, 5});
  const Tensor beta = leaf(Shape{2}, {1, 7});
  const Tensor moments = batch_moments(x, nullptr);
  CHECK_CLOSE(compute(moments), {2, 2, 10, 2, 0});
  CHECK_CLOSE(compute(batch_norm(x, moments, gamma, beta, {.epsilon = 3})), {0, 7, 2, 7});
  const Tensor residual = leaf(Shape{2, 2}, {-1, 1, 0, -9});
  CHECK_CLOSE(compute(batch_norm(x, moments, gamma, beta,
                                 {.epsilon = 3, .relu = true, .residual = residual})),
              {0, 8, 2, 0});
  const Tensor fixed = fixed_moments(leaf(Shape{2}, {0, 9}), leaf(Shape{2}, {1, 4}));
  CHECK_CLOSE(compute(batch_norm(x, fixed, gamma, beta, {.epsilon = 0})), {3, 9.5, 7, 9.5});
}

TEST_CASE("the gradient of batch norm over the batch sums to zero", "[ops]") {
  const Case test = batch_norm_case("plain", Shape{9, 4}, false, false);
  const std::unique_ptr<Device> device = make_device("reference", 1);
  CaseRun run(test, *device, DType::f64);
  auto values = operand_values(test, DType::f64);
  run.set(values);
  const std::vector<double> dx = run.forward_and_gradients()[1];
  for (size_t c = 0; c < 4; ++c) {
    double sum = 0;
    for (size_t n = 0; n < 9; ++n) sum += dx[n * 4 + c];
    CHECK(sum == Approx(0).margin(1e-13));
  }
}

TEST_CASE("running statistics move towards the batch's mean and unbiased variance", "[ops]") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  State mean(*device, "mean", DType::f64, Shape{1}, Role::buffer);
  State variance(*device, "variance", DType::f64, Shape{1}, Role::buffer);
  variance.fill([](int64_t) { return 1; });
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 1}, {1, 3});
  apply(running_update(batch_moments(x, nullptr), mean, variance, 0.1));
  CHECK_CLOSE(mean.values(), {0.2});
  CHECK_CLOSE(variance.values(), {1.1});
}

TEST_CASE("running statistics on the cpu device agree with the reference", "[ops][cpu]") {
  std::vector<std::vector<double>> results;
  for (const char* name : {"reference", "cpu"}) {
    const std::unique_ptr<Device> device = make_device(name, 2);
    const DType dtype = device->parameter_dtype();
    StateStore store(*device);
    State& mean = store.create("mean", dtype, Shape{37}, Role::buffer);
    State& variance = store.create("variance", dtype, Shape{37}, Role::buffer);
    const Draws draws(4, Purpose::test, 0);
    mean.fill([](int64_t i) { return static_cast<double>(i) / 64; });
    variance.fill([](int64_t) { return 1; });
    std::vector<double> numbers(11 * 37);
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = static_cast<double>(static_cast<float>(draws.normal(static_cast<uint32_t>(i))));
    Leaves leaf;
    const Tensor x = leaf(Shape{11, 37}, numbers, dtype);
    Executor executor(*device);
    executor.run({}, {running_update(batch_moments(x, nullptr), mean, variance, 0.1)});
    std::vector<double> both = mean.values();
    const std::vector<double> second = variance.values();
    both.insert(both.end(), second.begin(), second.end());
    results.push_back(both);
  }
  CHECK(relative_error(results[1], results[0]) < 1e-6);
}

TEST_CASE("batch norm of a batch of which a mask shows nothing is 0, as are its gradients",
          "[ops][cpu]") {
  for (const char* name : {"reference", "cpu"}) {
    INFO(name);
    const std::unique_ptr<Device> device = make_device(name, 1);
    const DType dtype = device->parameter_dtype();
    StateStore store(*device);
    State& mean = store.create("mean", dtype, Shape{2}, Role::buffer);
    State& variance = store.create("variance", dtype, Shape{2}, Role::buffer);
    mean.fill([](int64_t) { return 0.5; });
    variance.fill([](int64_t) { return 3; });
    Leaves leaf;
    const Tensor x = leaf(Shape{1, 3, 2}, {1, 2, 3, 4, 5, 6}, dtype);
    const Tensor nothing = leaf(Shape{1, 3}, {0, 0, 0}, dtype);
    const Tensor gamma = leaf(Shape{2}, {2, 5}, dtype), beta = leaf(Shape{2}, {1, 7}, dtype);
    const Tensor y = masked(x, nothing, gamma, beta, true);
    const Tensor loss = squared_error(y, x, 1);
    std::vector<Tensor> outputs = differentiate(loss, leaf(Shape{}, {1}, dtype), {x, gamma, beta});
    outputs.push_back(y);
    Executor executor(*device);
    executor.run(outputs, {running_update(batch_moments(keep(x, nothing), nullptr, nothing), mean,
                                          variance, 0.1)});
    for (size_t i = 1; i < outputs.size(); ++i) {  // the first also flows through the target
      const HostTensor& found = executor.output(i);
      for (int64_t k = 0; k < found.shape().count(); ++k) CHECK(value_at(found, k) == 0);
    }
    CHECK_CLOSE(mean.values(), {0.5, 0.5});
    CHECK_CLOSE(variance.values(), {3, 3});
  }
}

TEST_CASE("batch norm refuses shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {1, 10, 3, 10});
  const Tensor one = leaf(Shape{1}, {2});
  const Tensor two = leaf(Shape{2}, {2, 5});
  const Tensor moments = batch_moments(x, nullptr);
  CHECK_THAT(death_message([&] { batch_norm(x, moments, one, two); }),
             Catch::Contains("batch norm of float64 [2, 2] with moments [5], float64 gamma [1] and "
                             "beta [2]"));
  CHECK_THAT(death_message([&] { fixed_moments(one, two); }),
             Catch::Contains("moments of mean [1] and variance [2]"));
  CHECK_THAT(death_message([&] { batch_moments(two, nullptr); }),
             Catch::Contains("batch norm of float64 [2]"));
  CHECK_THAT(death_message([&] { batch_norm(x, moments, two, two, {.residual = two}); }),
             Catch::Contains("batch norm of [2, 2] with residual [2]"));
}

TEST_CASE("batch norm over ranks of unequal rows equals batch norm over one rank", "[ops][ranks]") {
  const ShardedModel model = batch_norm_over_ranks();
  const auto expected = sharded(model, {6});
  for (const std::vector<int64_t>& rows :
       std::vector<std::vector<int64_t>>{{1, 5}, {4, 2}, {2, 1, 3}, {2, 0, 4}}) {
    const auto actual = sharded(model, rows);
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO("on " << rows.size() << " ranks, result " << i);
      CHECK(relative_error(actual[i], expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("a masked batch norm is the batch norm of the positions that count", "[ops]") {
  const Case test = masked_case("plain", Shape{3, 4, 5}, true, true);
  const auto values = operand_values(test, DType::f64);
  // The same positions as rows of their own.
  std::vector<double> x, residual;
  for (size_t i = 0; i < 60; ++i) {
    if (values[1][i / 5] == 0) continue;
    x.push_back(values[0][i]);
    residual.push_back(values[4][i]);
  }
  const auto count = static_cast<int64_t>(x.size()) / 5;
  REQUIRE(count > 4);
  REQUIRE(count < 12);
  Leaves leaf;
  const Tensor gamma = leaf(Shape{5}, values[2]), beta = leaf(Shape{5}, values[3]);
  const Tensor rows = leaf(Shape{count, 5}, x);
  const std::vector<double> expected = compute(
      batch_norm(rows, batch_moments(rows, nullptr), gamma, beta,
                 {.epsilon = 0.01, .relu = true, .residual = leaf(Shape{count, 5}, residual)}));
  const std::vector<double> y =
      compute(masked(leaf(Shape{3, 4, 5}, values[0]), leaf(Shape{3, 4}, values[1]), gamma, beta,
                     true, leaf(Shape{3, 4, 5}, values[4])));
  size_t at = 0;
  for (size_t i = 0; i < 60; ++i) {
    if (values[1][i / 5] == 0) {
      CHECK(y[i] == 0);
    } else {
      CHECK(y[i] == expected[at++]);
    }
  }
}

TEST_CASE("what does not count changes no bit of a masked batch norm, a mask of ones none at all",
          "[ops][cpu]") {
  for (const bool residual : {false, true}) {
    const Case test = masked_case("bits", Shape{4, 21, 19}, true, residual);
    Case plain = test;
    plain.build = [=](const std::vector<Tensor>& t) {
      return batch_norm(t[0], batch_moments(t[0], nullptr), t[2], t[3],
                        {.epsilon = 0.01, .relu = true, .residual = residual ? t[4] : Tensor()});
    };
    for (const char* name : {"reference", "cpu"}) {
      const std::unique_ptr<Device> device = make_device(name, 2);
      const DType dtype = device->parameter_dtype();
      auto values = operand_values(test, dtype);
      CaseRun run(test, *device, dtype);
      run.set(values);
      const auto before = run.forward_and_gradients();
      for (size_t i = 0; i < values[0].size(); ++i) {
        if (values[1][i / 19] == 0) values[0][i] = i % 2 == 0 ? -7 : 1e20;
      }
      run.set(values);
      CHECK(run.forward_and_gradients() == before);

      values = operand_values(test, dtype);
      values[1].assign(values[1].size(), 1);
      run.set(values);
      CaseRun unmasked(plain, *device, dtype);
      unmasked.set(values);
      CHECK(run.forward_and_gradients() == unmasked.forward_and_gradients());
    }
  }
}

TEST_CASE("masked batch norm over ranks equals that over one rank", "[ops][ranks]") {
  const ShardedModel model = masked_over_ranks();
  const auto expected = sharded(model, {6});
  for (const std::vector<int64_t>& rows :
       std::vector<std::vector<int64_t>>{{1, 5}, {4, 2}, {2, 1, 3}, {2, 0, 4}}) {
    const auto actual = sharded(model, rows);
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO("on " << rows.size() << " ranks, result " << i);
      CHECK(relative_error(actual[i], expected[i]) < 1e-12);
    }
  }
  // Padding in the statistics is noticed, on any number of ranks.
  const auto faulty = sharded(masked_over_ranks(true), {4, 2});
  for (size_t i = 0; i < expected.size(); ++i) CHECK(relative_error(faulty[i], expected[i]) > 1e-3);
}

// Positions are cleared in place: what a mask costs is hardly more than what it clears.
TEST_CASE("a mask takes no memory of a batch norm's size, forward or backward", "[ops][cpu]") {
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  const Shape shape{16, 64, 32};
  const HostTensor numbers(DType::f32, shape), ones(DType::f32, shape.slice(0, 2));
  const HostTensor channels(DType::f32, Shape{32}), one(DType::f32, Shape{});
  const Tensor x = host_leaf("x", numbers), parameter = host_leaf("parameter", channels);
  const auto bytes = [&](bool residual, const Tensor& shown) {
    const Tensor before = add(x, x);  // as of a convolution, which does not keep it
    const Tensor added = residual ? add(before, x) : Tensor();
    const Tensor kept = shown.defined() ? keep(before, shown) : before;
    const Tensor y = batch_norm(kept, batch_moments(kept, nullptr, shown), parameter, parameter,
                                {.relu = true, .residual = added, .mask = shown});
    const Tensor loss = squared_error(add(y, y), x, 1);
    Executor executor(*device);
    executor.run({loss, differentiate(loss, host_leaf("one", one), {x})[0]});
    return static_cast<double>(executor.plan().arena_bytes);
  };
  CHECK(bytes(false, host_leaf("mask", ones)) < 1.05 * bytes(false, {}));
  CHECK(bytes(true, host_leaf("mask", ones)) < 1.05 * bytes(true, {}));
}

TEST_CASE("batch norm refuses a mask that did not make its operand", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2, 2}, {1, 10, 3, 10});
  const Tensor mask = leaf(Shape{2}, {1, 0});
  CHECK_THAT(death_message([&] { batch_moments(x, nullptr, mask); }),
             Catch::Contains("batch norm of [2, 2] with a mask [2] that it was not kept by"));
}

TEST_CASE("local statistics in place of global ones are noticed on two ranks", "[ops][ranks]") {
  const auto expected = sharded(batch_norm_over_ranks(), {6});
  const auto actual = sharded(batch_norm_over_ranks(false), {4, 2});
  for (size_t i = 0; i < expected.size(); ++i) CHECK(relative_error(actual[i], expected[i]) > 1e-9);
}

}  // namespace lacuna::test::ops
