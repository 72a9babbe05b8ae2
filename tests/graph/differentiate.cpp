#include "graph/differentiate.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/shape.h"
#include "support/death.h"

namespace lacuna::test {

using ops::compute;
using ops::compute_gradients;
using ops::Leaves;

TEST_CASE("gradients of a tensor that is used several times are added", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{2}, {3, -4});
  // x^2 + 5x: 2x + 5
  CHECK_CLOSE(compute_gradients(add(multiply(x, x), scale(x, 5)), {x})[0], {11, -3});
  // A diamond: (2x)(2x + x) = 6 x^2
  const Tensor twice = scale(x, 2);
  CHECK_CLOSE(compute_gradients(multiply(twice, add(twice, x)), {x})[0], {36, -48});
}

TEST_CASE("gradients by tensors in the middle of a graph and by the loss itself", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1}, {3});
  const Tensor middle = multiply(x, x);
  const Tensor y = scale(middle, 2);
  const auto gradients = compute_gradients(y, {middle, x, y});
  CHECK_CLOSE(gradients[0], {2});
  CHECK_CLOSE(gradients[1], {12});
  CHECK_CLOSE(gradients[2], {1});
}

TEST_CASE("a tensor that the loss does not depend on has no gradient", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1}, {3});
  const Tensor other = leaf(Shape{1}, {3});
  const Tensor y = add(x, stop_gradient(other));
  const std::vector<Tensor> gradients = differentiate(y, leaf(Shape{1}, {1}), {other, x});
  CHECK_FALSE(gradients[0].defined());
  CHECK(gradients[1].defined());
}

TEST_CASE("no gradient is recorded for what none is asked of", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1}, {3});
  const Tensor w = leaf(Shape{1}, {2});
  // squared_norm has no gradient; it does not depend on w, so none is needed.
  const Tensor norm = squared_norm({x});
  const Tensor y = multiply(norm, reshape(w, Shape{}));
  CHECK(compute_gradients(y, {w})[0] == std::vector<double>{9});
  CHECK_THAT(death_message([&] { differentiate(y, leaf.scalar(1), {x}); }),
             Catch::Contains("operation \"squared_norm\" has no gradient"));
}

TEST_CASE("nodes come after their inputs and each once", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1}, {3});
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = add(y, y);  // 2^20 paths
  const std::vector<NodePointer> order = in_order({y, x, y});
  CHECK(order.size() == 21);
  CHECK(order.front() == x.node());
  CHECK(order.back() == y.node());
  CHECK_CLOSE(compute_gradients(y, {x})[0], {1 << 20});
}

}  // namespace lacuna::test
