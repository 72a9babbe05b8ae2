// Layers that are made of operations in one step: their parameters, and which operation they are.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "backend/list.h"
#include "comm/communicator.h"
#include "graph/executor.h"
#include "nn/convolution.h"
#include "nn/embedding.h"
#include "nn/layers.h"
#include "ops/evaluate.h"
#include "support/death.h"

using namespace lacuna;
using namespace lacuna::test;
using namespace lacuna::test::ops;

namespace {

// Where layers are made and called.
struct Workshop {
  std::unique_ptr<Device> device = make_device("reference", 1);
  StateStore store{*device};
  std::unique_ptr<Communicator> alone = self_communicator();
  ForwardContext forward{
      .communicator = *alone, .compute = DType::f64, .parameters = DType::f64, .rows = {2}};
  Scope scope{store, 7, "layer"};
};

}  // namespace

TEST_CASE("an embedding gives the rows of its weight") {
  Workshop w;
  const Embedding layer(w.scope, 40, 50, 0.5);
  const State& weight = *w.store.find("layer.weight");
  CHECK(weight.axes() == "id, feature");
  const auto values = weight.values();
  const double square = std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
  CHECK(std::sqrt(square / 2000) == Approx(0.5).epsilon(0.1));
  Leaves leaf;
  const Tensor y = layer(leaf(Shape{1, 2}, {3, -1}, DType::i32), w.forward);
  CHECK(y.shape() == Shape{1, 2, 50});
  std::vector<double> expected(values.begin() + 150, values.begin() + 200);
  expected.resize(100);
  CHECK(compute(y) == expected);
}

TEST_CASE("convolutions over any axes keep sizes at a stride of 1") {
  Workshop w;
  Leaves leaf;
  const ConvolutionLayer one(
      w.scope / "one",
      {.in = 4, .out = 6, .kernel = {5}, .dilation = {2}, .groups = 2, .bias = true});
  const State& weight = *w.store.find("layer.one.weight");
  CHECK(weight.shape() == Shape{6, 2, 5});
  CHECK(weight.axes() == "out_channel, in_channel, position");
  const std::vector<double> row(2 * 9 * 4, 1.0);
  const Tensor x = leaf(Shape{2, 9, 4}, row);
  const Tensor y = one(x, w.forward);
  CHECK(y.shape() == Shape{2, 9, 6});
  CHECK(compute(y) == compute(convolution(x, w.store.find("layer.one.weight")->tensor(), {},
                                          {.padding = {4}, .dilation = {2}, .groups = 2})));
  const ConvolutionLayer three(w.scope / "three",
                               {.in = 1, .out = 2, .kernel = {1, 3, 3}, .stride = {1, 2, 2}});
  CHECK(three(leaf(Shape{1, 2, 4, 6, 1}, std::vector<double>(48, 1.0)), w.forward).shape() ==
        Shape{1, 2, 2, 3, 2});
  CHECK_THAT(death_message([&] {
               ConvolutionLayer(w.scope / "bad", {.in = 3, .out = 4, .kernel = {3}, .groups = 2});
             }),
             Catch::Contains("a convolution of 3 to 4 channels in 2 groups over 1 axes"));
}

TEST_CASE("a batch norm with a mask learns and uses the statistics of the positions that count") {
  Workshop w;
  const BatchNorm layer(w.scope, 1);
  Leaves leaf;
  // 1 and 5 count: mean 3, variance 4, unbiased 8.
  const Tensor x = leaf(Shape{2, 2, 1}, {1, 100, 5, -7});
  const Tensor mask = leaf(Shape{2, 2}, {1, 0, 1, 0});
  const double scaled = 2 / std::sqrt(4 + 1e-5);
  CHECK_CLOSE(compute(layer(x, w.forward, false, {}, mask)), {-scaled, 0, scaled, 0});
  Executor executor(*w.device);
  executor.run({}, w.forward.updates);
  CHECK_CLOSE(w.store.find("layer.running_mean")->values(), {0.3});
  CHECK_CLOSE(w.store.find("layer.running_var")->values(), {0.9 + 0.8});
  w.forward.training = false;
  const double deviation = std::sqrt(1.7 + 1e-5);
  CHECK_CLOSE(compute(layer(x, w.forward, true, {}, mask)),
              {0.7 / deviation, 0, 4.7 / deviation, 0});
}
