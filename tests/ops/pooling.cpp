#include "ops/pooling.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> pooling_cases() {
  return {
      {"max_pool 3x3 of stride 2",
       {activation(Shape{2, 7, 6, 3})},
       [](const auto& x) { return max_pool(x[0], 3, 2, 1); }},
      {"max_pool 2x2 that leaves a rest",
       {activation(Shape{2, 5, 7, 2})},
       [](const auto& x) { return max_pool(x[0], 2, 2, 0); }},
      {"max_pool of overlapping windows",
       {activation(Shape{1, 5, 5, 2})},
       [](const auto& x) { return max_pool(x[0], 3, 1, 1); }},
      {"max_pool of many channels",
       {activation(Shape{3, 9, 8, 35})},
       [](const auto& x) { return max_pool(x[0], 3, 2, 1); },
       true,
       true},
      {"average_pool",
       {activation(Shape{2, 3, 5, 7})},
       [](const auto& x) { return average_pool(x[0]); }},
      {"average_pool over one axis",
       {activation(Shape{2, 5, 3})},
       [](const auto& x) { return average_pool(x[0]); }},
      {"average_pool over three axes",
       {activation(Shape{2, 2, 3, 2, 3})},
       [](const auto& x) { return average_pool(x[0]); }},
      {"average_pool of many channels",
       {activation(Shape{5, 4, 4, 130})},
       [](const auto& x) { return average_pool(x[0]); },
       true,
       true},
      {"max_pool over one axis",
       {activation(Shape{2, 9, 3})},
       [](const auto& x) { return max_pool(x[0], 3, 2, 1); }},
      {"max_pool over one axis of many channels",
       {activation(Shape{3, 50, 35})},
       [](const auto& x) { return max_pool(x[0], 4, 3, 2); },
       true,
       true},
      {"max_pool over three axes",
       {activation(Shape{2, 5, 4, 6, 2})},
       [](const auto& x) { return max_pool(x[0], 3, 2, 1); }},
      {"max_pool of no images",
       {constant(activation(Shape{0, 5, 4}))},
       [](const auto& x) { return max_pool(x[0], 2, 2, 0); },
       false},
      {"average_pool in windows over one axis",
       {activation(Shape{2, 6, 5})},
       [](const auto& x) { return average_pool(x[0], 3); }},
      {"average_pool in windows over two axes",
       {activation(Shape{2, 6, 4, 3})},
       [](const auto& x) { return average_pool(x[0], 2); }},
      {"average_pool in windows over three axes",
       {activation(Shape{1, 2, 4, 4, 3})},
       [](const auto& x) { return average_pool(x[0], 2); }},
      {"upsample by 2",
       {activation(Shape{2, 3, 2, 3})},
       [](const auto& x) { return upsample(x[0], 6, 4); }},
      {"upsample to a size that is no multiple",
       {activation(Shape{1, 2, 3, 1})},
       [](const auto& x) { return upsample(x[0], 5, 3); }},
      {"upsample of many channels",
       {activation(Shape{2, 5, 4, 35})},
       [](const auto& x) { return upsample(x[0], 10, 11); },
       true,
       true},
  };
}

TEST_CASE("pooling and upsampling have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 3, 1}, {1, -5, 3, 4, 2, 3});
  CHECK_CLOSE(compute(max_pool(x, 2, 1, 0)), {4, 3});
  // All are negative or outside: padding counts as -inf, not as 0.
  CHECK_CLOSE(compute(max_pool(leaf(Shape{1, 1, 1, 1}, {-7}), 2, 2, 1)), {-7});
  // Of two equal ones the first gets the gradient.
  CHECK_CLOSE(compute_gradients(max_pool(x, 2, 1, 0), {x}, {10, 100})[0], {0, 0, 100, 10, 0, 0});
  CHECK_CLOSE(compute(average_pool(x)), {8.0 / 6});
  CHECK_CLOSE(compute_gradients(average_pool(x), {x}, {6})[0], {1, 1, 1, 1, 1, 1});
  CHECK_CLOSE(compute(upsample(leaf(Shape{1, 1, 2, 1}, {1, 2}), 2, 4)), {1, 1, 2, 2, 1, 1, 2, 2});
  const Tensor pair = leaf(Shape{1, 1, 2, 1}, {1, 2});
  CHECK_CLOSE(compute(upsample(pair, 1, 3)), {1, 1, 2});
  CHECK_CLOSE(compute_gradients(upsample(pair, 2, 4), {pair}, {1, 2, 3, 4, 5, 6, 7, 8})[0],
              {14, 22});
}

TEST_CASE("pooling over one and three axes has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor row = leaf(Shape{1, 5, 1}, {3, 1, -4, -2, 7});
  CHECK_CLOSE(compute(max_pool(row, 3, 2, 0)), {3, 7});
  CHECK_CLOSE(compute(max_pool(row, 2, 2, 1)), {3, 1, 7});
  CHECK_CLOSE(compute(average_pool(leaf(Shape{1, 4, 1}, {1, 3, 10, -4}), 2)), {2, 3});
  const Tensor cube = leaf(Shape{1, 2, 2, 2, 1}, {1, 5, 2, 3, 5, 4, 0, 1});
  CHECK_CLOSE(compute(max_pool(cube, 2, 1, 0)), {5});
  // Of two equal ones, in two planes, the first gets the gradient.
  CHECK_CLOSE(compute_gradients(max_pool(cube, 2, 1, 0), {cube}, {9})[0], {0, 9, 0, 0, 0, 0, 0, 0});
  CHECK_CLOSE(compute(average_pool(cube, 2)), {21.0 / 8});
}

TEST_CASE("pooling refuses images smaller than its window", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 2, 1}, {1, 2, 3, 4});
  CHECK_THROWS_WITH(max_pool(x, 3, 2, 0),
                    "a pooling window of 3 does not fit into 2 pixels with 0 of padding "
                    "(activations [1, 2, 2, 1]): use larger images or an encoder that reduces "
                    "them less");
  CHECK_THAT(death_message([&] { max_pool(x, 2, 2, 2); }),
             Catch::Contains("max_pool of float64 [1, 2, 2, 1], kernel 2, stride 2, padding 2"));
  CHECK_THAT(death_message([&] {
               average_pool(leaf(Shape{1, 2}, {1, 2}));
             }),
             Catch::Contains("average_pool of float64 [1, 2]"));
  CHECK_THROWS_WITH(average_pool(leaf(Shape{1, 3, 1}, {1, 2, 3}), 2),
                    "pooling windows of 2 do not fill 3 pixels (activations [1, 3, 1]): use sizes "
                    "that are multiples of them");
  CHECK_THAT(death_message([&] {
               max_pool(leaf(Shape{1, 2}, {1, 2}), 2, 2, 0);
             }),
             Catch::Contains("max_pool of float64 [1, 2], kernel 2, stride 2, padding 0"));
  CHECK_THAT(death_message([&] { upsample(x, 2, 1); }),
             Catch::Contains("upsample of float64 [1, 2, 2, 1] to 2 x 1"));
}

}  // namespace lacuna::test::ops
