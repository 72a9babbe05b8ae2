#include "ops/masks.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "backend/list.h"
#include "graph/executor.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> masks_cases() {
  const auto kept = [](const auto& x) { return keep(x[0], x[1]); };
  // Its operand dies: in place.
  const auto kept_sum = [](const auto& x) { return keep(add(x[0], x[0]), x[1]); };
  return {
      {"keep", {activation(Shape{4, 3, 5}), mask(Shape{4, 3})}, kept},
      {"keep in place", {activation(Shape{4, 3, 5}), mask(Shape{4, 3})}, kept_sum},
      {"keep of one channel",
       {activation(Shape{6, 1}), mask(Shape{6})},
       [](const auto& x) { return keep(add(x[0], x[0]), add(x[1], x[1])); }},
      {"keep of many", {activation(Shape{9, 70, 131}), mask(Shape{9, 70})}, kept_sum, true, true},
      {"keep of none", {constant(activation(Shape{0, 3})), mask(Shape{0})}, kept, false},
  };
}

TEST_CASE("what a mask does not keep is 0, whatever was there", "[ops]") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 2}, {1, 2, infinity, std::nan(""), 5, -6});
  const Tensor mask = leaf(Shape{3}, {1, 0, 1});
  CHECK(compute(keep(x, mask)) == std::vector<double>{1, 2, 0, 0, 5, -6});
  CHECK(compute_gradients(keep(x, mask), {x}, {1, 2, infinity, 4, 5, 6})[0] ==
        std::vector<double>{1, 2, 0, 0, 5, 6});
}

TEST_CASE("keep in place of a value that dies takes no memory", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{512, 2}, std::vector<double>(1024, 1));
  const Tensor mask = leaf(Shape{512}, std::vector<double>(512, 1));
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Executor executor(*device);
  executor.run({keep(add(x, x), mask)});
  CHECK(executor.plan().arena_bytes == 1024 * sizeof(double));
}

TEST_CASE("the mask of a strided convolution's output is every so-manieth position", "[ops]") {
  Leaves leaf;
  const Tensor mask = leaf(Shape{2, 5}, {1, 1, 1, 0, 0, 1, 1, 1, 1, 1});
  CHECK(compute(strided_mask(mask, 2)) == std::vector<double>{1, 1, 0, 1, 1, 1});
  CHECK(compute(strided_mask(mask, 4)) == std::vector<double>{1, 0, 1, 1});
  CHECK(strided_mask(mask, 1) == mask);
  CHECK_THAT(death_message([&] { strided_mask(mask, 0); }),
             Catch::Contains("strided_mask of float64 [2, 5] by 0"));
  CHECK_THAT(death_message([&] { keep(mask, mask); }),
             Catch::Contains("keep of float64 [2, 5] by float64 [2, 5]"));
}

}  // namespace lacuna::test::ops
