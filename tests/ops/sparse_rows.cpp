#include "ops/sparse_rows.h"

#include <catch2/catch.hpp>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/case.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/gather.h"
#include "ops/matrix_product.h"
#include "ops/shape.h"
#include "ops/sharded.h"
#include "ops/squared_error.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

// The table's sparse gradient, given that by what is read of it.
SparseGradient merged_gradient(const Tensor& table, const Tensor& ids, const Tensor& dy) {
  static const std::unique_ptr<Communicator> alone = self_communicator();
  const Tensor gradient = differentiate(sparse_embedding(table, ids), dy, {table})[0];
  return summed(sparse_parts(gradient), *alone, {ids.shape()[0]});
}

Case merged_case(const std::string& name, const Shape& ids, int64_t rows, int64_t features,
                 Operand::Kind kind) {
  const Shape dy{ids[0], ids[1], features};
  return {"merge_rows " + name,
          {constant(parameter(Shape{rows, features})), places(ids, rows, kind),
           constant(parameter(dy))},
          [](const auto& x) { return merged_gradient(x[0], x[1], x[2]).values; },
          false};
}

}  // namespace

std::vector<Case> sparse_rows_cases() {
  const auto read = [](const auto& x) { return sparse_embedding(x[0], x[1]); };
  return {
      {"sparse_embedding", {parameter(Shape{7, 5}), places(Shape{2, 3}, 7)}, read},
      {"sparse_embedding of i32",
       {parameter(Shape{7, 5}), places(Shape{4, 3}, 7, Operand::Kind::small)},
       read},
      merged_case("of few rows", {2, 3}, 4, 5, Operand::Kind::labels),
      merged_case("of i32", {2, 3}, 4, 5, Operand::Kind::small),
      merged_case("of many", {64, 40}, 300, 35, Operand::Kind::labels),
      merged_case("of none", {0, 3}, 4, 5, Operand::Kind::labels),
  };
}

TEST_CASE("the rows of a sparse gradient are each there once, where they come first", "[ops]") {
  Leaves leaf;
  const Tensor table = leaf(Shape{9, 2}, std::vector<double>(18));
  const Tensor ids = leaf(Shape{3, 2}, {7, -1, 2, 7, 2, 7}, DType::i64);
  const Tensor dy = leaf(Shape{3, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const SparseGradient gradient = merged_gradient(table, ids, dy);
  CHECK(compute(gradient.rows) == std::vector<double>{7, -1, 2, -1, -1, -1});
  CHECK_CLOSE(compute(gradient.values),
              {1 + 7 + 11, 2 + 8 + 12, 0, 0, 5 + 9, 6 + 10, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("a gradient is sparse if nothing but embeddings contribute to it", "[ops]") {
  Leaves leaf;
  const Tensor table = leaf(Shape{4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor ids = leaf(Shape{1, 2}, {3, 0}, DType::i64);
  const Tensor one = leaf.scalar(1);
  const Tensor read = sparse_embedding(table, ids);
  const auto gradient = [&](const Tensor& x, const Tensor& y) {
    return differentiate(squared_error(x, y, 1), one, {table})[0];
  };
  const Tensor zeros = leaf(Shape{1, 2, 2}, {0, 0, 0, 0});
  CHECK(sparse_parts(gradient(read, zeros)).size() == 1);
  const Tensor both = add(read, sparse_embedding(table, ids));
  CHECK(sparse_parts(gradient(both, zeros)).size() == 2);
  CHECK(sparse_parts(gradient(embedding(table, ids), zeros)).empty());
  // The table is the output's weight too: dense, and the sum of both.
  const Tensor tied = linear(reshape(read, {2, 2}), table, {});
  const Tensor dense = gradient(tied, leaf(Shape{2, 4}, std::vector<double>(8)));
  CHECK(sparse_parts(dense).empty());
  const Tensor plain = linear(reshape(embedding(table, ids), {2, 2}), table, {});
  CHECK_CLOSE(compute(dense), compute(gradient(plain, leaf(Shape{2, 4}, std::vector<double>(8)))));
}

TEST_CASE("rows are read from a slice of a table and written to it, and to it alone",
          "[ops][cpu]") {
  for (const char* name : {"reference", "cpu"}) {
    const std::unique_ptr<Device> device = make_device(name, 1);
    const DType dtype = device->parameter_dtype();
    State table(*device, "table", dtype, Shape{4, 3}, Role::parameter);
    table.fill([](int64_t i) { return static_cast<double>(i); });
    // Elements 4 to 7: of row 1 the last two, of row 2 the first two.
    State slice(table, Slice{table.shape(), 4}, 4);
    State rows_of_table(*device, "rows", dtype, Shape{3, 3}, Role::buffer);
    Leaves leaf;
    const Tensor rows = leaf.labels({2, -1, 1});
    Executor executor(*device);
    executor.run({}, {gather_rows(table, rows, rows_of_table)});
    CHECK(rows_of_table.values() == std::vector<double>{6, 7, 8, 0, 0, 0, 3, 4, 5});
    executor.run({}, {gather_rows(slice, rows, rows_of_table)});
    CHECK(rows_of_table.values() == std::vector<double>{6, 7, 0, 0, 0, 0, 0, 4, 5});
    rows_of_table.fill([](int64_t i) { return 100.0 + static_cast<double>(i); });
    executor.run({}, {write_rows(rows_of_table, rows, slice)});
    CHECK(table.values() == std::vector<double>{0, 1, 2, 3, 107, 108, 100, 101, 8, 9, 10, 11});
    executor.run({}, {write_rows(rows_of_table, rows, table)});
    CHECK(table.values() == std::vector<double>{0, 1, 2, 106, 107, 108, 100, 101, 102, 9, 10, 11});
  }
}

TEST_CASE("sparse gradients refuse what does not fit", "[ops]") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  State table(*device, "table", DType::f64, Shape{4, 3}, Role::parameter);
  State narrow(*device, "narrow", DType::f64, Shape{2, 2}, Role::buffer);
  Leaves leaf;
  CHECK_THAT(death_message([&] {
               gather_rows(table, leaf.labels({1, 2}), narrow);
             }),
             Catch::Contains("gather_rows of \"table\" float64 [4, 3] and float64 [2, 2] by int64 "
                             "[2]"));
  const Tensor ids = leaf(Shape{1, 2}, {3, 0}, DType::i64);
  CHECK_THAT(death_message([&] {
               sparse_embedding(leaf(Shape{2}, {1, 2}), ids);
             }),
             Catch::Contains("sparse_embedding of int64 [1, 2] in float64 [2]"));
  const Tensor read = sparse_embedding(table.tensor(), ids);
  const Tensor dy = leaf(Shape{1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const auto alone = self_communicator();
  CHECK_THAT(death_message([&] {
               summed(sparse_parts(differentiate(read, dy, {table.tensor()})[0]), *alone, {2});
             }),
             Catch::Contains("a sparse embedding of 2 ids where the batch has 4 on this rank"));
}

}  // namespace lacuna::test::ops
