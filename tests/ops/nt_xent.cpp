#include "ops/nt_xent.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "ops/case.h"
#include "ops/collectives.h"
#include "ops/evaluate.h"
#include "ops/matrix_product.h"
#include "ops/normalize.h"
#include "ops/shape.h"
#include "ops/sharded.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

Operand row(int64_t number) {
  return constant(Operand{Operand::Kind::labels, Shape{}, [number](const Draws&, uint32_t) {
                            return static_cast<double>(number);
                          }});
}

Case nt_xent_case(const std::string& name, int64_t rows, int64_t all, int64_t features,
                  double temperature, int64_t first, bool large = false) {
  const Operand mine = activation(Shape{rows, features}, 0.5);
  const Operand others = activation(Shape{all, features}, 0.5);
  return {"nt_xent " + name,
          {mine, mine, others, others, row(first)},
          [=](const std::vector<Tensor>& z) {
            return nt_xent(z[0], z[1], z[2], z[3], temperature, z[4]);
          },
          true,
          large};
}

// Two views through one projection, the negatives gathered from all ranks.
ShardedModel nt_xent_over_ranks(bool gradient_through_gather = true) {
  const Operand view = activation(Shape{7, 6});
  return {{view, view}, {parameter(Shape{5, 6})}, [=](const Shard& shard) {
            Tensor z[2];
            Tensor all[2];
            for (const int v : {0, 1}) {
              const Tensor& x = shard.rows[static_cast<size_t>(v)];
              z[v] = normalize(linear(x, shard.parameters[0]));
              all[v] = all_gather(z[v], shard.communicator, shard.rows_of_ranks);
              if (!gradient_through_gather) all[v] = stop_gradient(all[v]);
            }
            return nt_xent(z[0], z[1], all[0], all[1], 0.3, shard.first_row);
          }};
}

}  // namespace

std::vector<Case> nt_xent_cases() {
  return {
      nt_xent_case("in the middle", 3, 7, 5, 0.5, 2),
      nt_xent_case("of one row", 1, 4, 3, 0.2, 3),
      nt_xent_case("of unequal sizes", 5, 6, 9, 1, 0),
      nt_xent_case("of many", 33, 70, 65, 0.5, 20, true),
      {"nt_xent of one rank",
       {activation(Shape{4, 5}), activation(Shape{4, 5}), row(0)},
       [](const auto& x) {
         const Tensor z0 = normalize(x[0]);
         const Tensor z1 = normalize(x[1]);
         return nt_xent(z0, z1, z0, z1, 0.1, x[2]);
       }},
  };
}

TEST_CASE("nt_xent has the values of the definition", "[ops]") {
  Leaves leaf;
  // One pair: the only other row is the right one.
  const Tensor a = leaf(Shape{1, 2}, {1, 0});
  const Tensor b = leaf(Shape{1, 2}, {0, 1});
  const Tensor front = leaf(Shape{}, {0}, DType::i64);
  CHECK_CLOSE(compute(nt_xent(a, b, a, b, 0.5, front)), {0});
  // Two orthogonal pairs: every row sees its pair at 1 and two others at 0.
  const Tensor z = leaf(Shape{2, 2}, {1, 0, 0, 1});
  CHECK_CLOSE(compute(nt_xent(z, z, z, z, 1, front)), {std::log(std::exp(1) + 2) - 1});
  CHECK_CLOSE(compute(nt_xent(z, z, z, z, 0.1, front)), {std::log(std::exp(10) + 2) - 10});
  // All rows the same: 2G - 1 equal similarities.
  const Tensor same = leaf(Shape{4, 1}, {1, 1, 1, 1});
  CHECK_CLOSE(compute(nt_xent(same, same, same, same, 0.3, front)), {std::log(7)});
}

TEST_CASE("nt_xent refuses shapes that do not fit", "[ops]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{1, 2}, {1, 0});
  const Tensor b = leaf(Shape{2, 2}, {1, 0, 0, 1});
  const Tensor front = leaf(Shape{}, {0}, DType::i64);
  CHECK_THAT(death_message([&] { nt_xent(b, b, a, a, 1, front); }),
             Catch::Contains("nt_xent of [2, 2] and [2, 2] of [1, 2] and [1, 2]"));
  CHECK_THAT(death_message([&] { nt_xent(a, a, b, b, 1, leaf.scalar(0)); }),
             Catch::Contains("nt_xent from float64 row []"));
  CHECK_THAT(death_message([&] { nt_xent(a, a, b, b, 0, front); }),
             Catch::Contains("temperature 0"));
  const Tensor behind = leaf(Shape{}, {2}, DType::i64);
  CHECK_THAT(death_message([&] { compute(nt_xent(a, a, b, b, 1, behind)); }),
             Catch::Contains("nt_xent of 1 rows from row 2 of 2"));
}

TEST_CASE("nt_xent over ranks of unequal rows equals nt_xent over one rank", "[ops][ranks]") {
  const auto expected = sharded(nt_xent_over_ranks(), {7});
  for (const std::vector<int64_t>& rows :
       std::vector<std::vector<int64_t>>{{3, 4}, {6, 1}, {2, 1, 4}, {3, 0, 4}}) {
    const auto actual = sharded(nt_xent_over_ranks(), rows);
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO("on " << rows.size() << " ranks, result " << i);
      CHECK(relative_error(actual[i], expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("a dropped gradient of the gather is noticed on two ranks", "[ops][ranks][fault]") {
  const auto expected = sharded(nt_xent_over_ranks(), {7});
  const auto actual = sharded(nt_xent_over_ranks(false), {3, 4});
  CHECK(relative_error(actual[0], expected[0]) < 1e-12);  // the loss itself is right
  for (size_t i = 1; i < expected.size(); ++i) CHECK(relative_error(actual[i], expected[i]) > 1e-9);
}

}  // namespace lacuna::test::ops
