#include "ops/shape.h"

#include <catch2/catch.hpp>

#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

std::vector<Case> shape_cases() {
  const Shape odd{5, 3, 7};
  return {
      {"reshape",
       {activation(odd)},
       [](const auto& x) {
         return reshape(x[0], Shape{7, 15});
       }},
      {"flatten", {activation(odd)}, [](const auto& x) { return scale(flatten(x[0]), 2); }},
      {"stop_gradient",
       {activation(odd), constant(activation(odd))},
       [](const auto& x) { return multiply(x[0], stop_gradient(x[1])); }},
      {"rows", {activation(odd)}, [](const auto& x) { return scale(rows(x[0], 1, 4), 2); }},
      {"two views of one tensor",
       {activation(odd)},
       [](const auto& x) { return multiply(rows(x[0], 0, 3), rows(x[0], 2, 5)); }},
      {"place_rows", {activation(odd)}, [](const auto& x) { return place_rows(x[0], 2, 9); }},
      {"place_rows of none",
       {constant(activation(Shape{0, 3}))},
       [](const auto& x) { return place_rows(x[0], 1, 2); },
       false},
      {"concatenate",
       {activation(odd), activation(Shape{1, 3, 7}), activation(Shape{2, 3, 7})},
       [](const auto& x) {
         return concatenate({x[0], x[1], x[2]});
       }},
      {"concatenate with itself",
       {activation(odd)},
       [](const auto& x) {
         return concatenate({x[0], x[0]});
       }},
  };
}

TEST_CASE("views and rows have the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK_CLOSE(compute(rows(x, 1, 3)), {3, 4, 5, 6});
  CHECK_CLOSE(compute(rows(rows(x, 1, 3), 1, 2)), {5, 6});
  CHECK_CLOSE(compute(reshape(x, Shape{2, 3})), {1, 2, 3, 4, 5, 6});
  CHECK(flatten(leaf(Shape{1, 2, 2}, {1, 2, 3, 4})).shape() == Shape{1, 4});
  CHECK_CLOSE(compute(place_rows(rows(x, 0, 1), 1, 3)), {0, 0, 1, 2, 0, 0});
  CHECK_CLOSE(compute(concatenate({rows(x, 2, 3), x})), {5, 6, 1, 2, 3, 4, 5, 6});
  CHECK(concatenate({x}) == x);
  // Only the plain path carries a gradient.
  CHECK_CLOSE(compute_gradients(add(x, stop_gradient(scale(x, 3))), {x})[0], {1, 1, 1, 1, 1, 1});
}

TEST_CASE("views and rows refuse what lies outside", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor y = leaf(Shape{1, 3}, {1, 2, 3});
  CHECK_THAT(death_message([&] { rows(x, 1, 4); }), Catch::Contains("rows 1 to 4 of [3, 2]"));
  CHECK_THAT(death_message([&] { reshape(x, Shape{4}); }),
             Catch::Contains("reshape of [3, 2] to [4]"));
  CHECK_THAT(death_message([&] { place_rows(x, 1, 3); }),
             Catch::Contains("place_rows of [3, 2] at 1 of 3"));
  CHECK_THAT(death_message([&] {
               concatenate({x, y});
             }),
             Catch::Contains("concatenate of float64 [3, 2] and float64 [1, 3]"));
}

}  // namespace lacuna::test::ops
