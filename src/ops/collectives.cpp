#include "ops/collectives.h"

#include <array>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

// What each rank holds of a tensor [rows, ..] whose rows have `per_row` units.
std::vector<size_t> parts_of(std::span<const int64_t> rows, size_t per_row) {
  std::vector<size_t> parts;
  for (const int64_t n : rows) parts.push_back(static_cast<size_t>(n) * per_row);
  return parts;
}

size_t elements_per_row(const View& view) {
  return static_cast<size_t>(view.shape.from(1).count());
}

Request start_all_gather(Communicator& communicator, const Call& call,
                         std::span<const int64_t> rows) {
  const View& x = call.in[0];
  const auto parts = parts_of(rows, elements_per_row(x) * size_of(x.dtype));
  return communicator.all_gather(x.data, call.out[0].data, parts);
}

Request start_reduce_scatter_sum(Communicator& communicator, const Call& call,
                                 std::span<const int64_t> rows) {
  const View& x = call.in[0];
  const auto parts = parts_of(rows, elements_per_row(x));
  return communicator.reduce_scatter_sum(x.data, call.out[0].data, parts, x.dtype);
}

std::vector<Communicator::Term> terms_of(const Call& call) {
  std::vector<Communicator::Term> terms;
  for (size_t i = 0; i < call.in.size(); ++i) {
    const View& x = call.in[i];
    terms.push_back({x.data, call.out[i].data, static_cast<size_t>(x.count())});
  }
  return terms;
}

// Of one tensor or of a bucket of them.
Request start_all_reduce_sum(Communicator& communicator, const Call& call,
                             std::span<const int64_t>) {
  return communicator.all_reduce_sum(terms_of(call), call.in[0].dtype);
}

Request start_scatter_sums(Communicator& communicator, const Call& call, std::span<const int64_t>) {
  return communicator.scatter_sums(terms_of(call), call.in[0].dtype);
}

Request start_gather_slices(Communicator& communicator, const Call& call,
                            std::span<const int64_t>) {
  return communicator.gather_slices(terms_of(call), call.in[0].dtype);
}

void check_rows(std::string_view operation, const Tensor& x, const Communicator& communicator,
                const std::vector<int64_t>& rows, int64_t expected) {
  LACUNA_CHECK(x.shape().rank() >= 1 && rows.size() == static_cast<size_t>(communicator.size()) &&
                   x.shape()[0] == expected,
               operation, " of ", x.shape(), " where rank ", communicator.rank(), " has ", expected,
               " rows, with rows of ", rows.size(), " ranks of ", communicator.size());
}

int64_t total(const std::vector<int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

int64_t own_rows(const Communicator& communicator, const std::vector<int64_t>& rows) {
  return rows.at(static_cast<size_t>(communicator.rank()));
}

bool can_be_summed(DType dtype) { return dtype == DType::f64 || dtype == DType::f32; }

Tensor record_collective(const Operation& operation, const Tensor& x, const Shape& shape,
                         Communicator& communicator, RowCounts rows = nullptr) {
  return {record(operation, {x}, {{x.dtype(), shape}}, {}, &communicator, std::move(rows)), 0};
}

Tensor gathered(const Tensor& x, Communicator& communicator, const RowCounts& rows) {
  check_rows("all_gather", x, communicator, *rows, own_rows(communicator, *rows));
  if (communicator.size() == 1) return x;
  Shape shape = x.shape();
  shape.set(0, total(*rows));
  return record_collective(all_gather_operation, x, shape, communicator, rows);
}

Tensor reduced_and_scattered(const Tensor& x, Communicator& communicator, const RowCounts& rows) {
  check_rows("reduce_scatter_sum", x, communicator, *rows, total(*rows));
  LACUNA_CHECK(can_be_summed(x.dtype()), "reduce_scatter_sum of ", name_of(x.dtype()));
  if (communicator.size() == 1) return x;
  Shape shape = x.shape();
  shape.set(0, own_rows(communicator, *rows));
  return record_collective(reduce_scatter_sum_operation, x, shape, communicator, rows);
}

RowCounts shared(const std::vector<int64_t>& rows) {
  return std::make_shared<const std::vector<int64_t>>(rows);
}

// A node with an output for each of x.
template <typename OutputShape>
Tensors record_bucket(const Operation& operation, const Tensors& x, Communicator& communicator,
                      const OutputShape& output_shape) {
  std::vector<Spec> specs;
  for (const Tensor& part : x) {
    LACUNA_CHECK(can_be_summed(part.dtype()) && part.dtype() == x[0].dtype(), operation.name,
                 " of ", name_of(x[0].dtype()), " and ", name_of(part.dtype()));
    specs.push_back({part.dtype(), output_shape(part.shape())});
  }
  const NodePointer node = record(operation, x, std::move(specs), {}, &communicator);
  Tensors outputs;
  for (size_t i = 0; i < x.size(); ++i) outputs.emplace_back(node, static_cast<int>(i));
  return outputs;
}

Tensors all_gather_gradient(const NodePointer& node, const Tensors& dy) {
  const DType dtype = node->inputs[0].dtype();
  if (!is_float(dtype)) return {Tensor()};
  const Tensor wide = cast(dy[0], parameter_type(dtype));
  return {cast(reduced_and_scattered(wide, *node->communicator, node->rows), dtype)};
}

Tensors reduce_scatter_sum_gradient(const NodePointer& node, const Tensors& dy) {
  return {gathered(dy[0], *node->communicator, node->rows)};
}

Tensors all_reduce_sum_gradient(const NodePointer& node, const Tensors& dy) {
  return {all_reduce_sum(dy[0], *node->communicator)};
}

}  // namespace

const Operation all_gather_operation = {.name = "all_gather",
                                        .kind = Operation::Kind::collective,
                                        .gradient = all_gather_gradient,
                                        .start = start_all_gather};
const Operation reduce_scatter_sum_operation = {.name = "reduce_scatter_sum",
                                                .kind = Operation::Kind::collective,
                                                .gradient = reduce_scatter_sum_gradient,
                                                .start = start_reduce_scatter_sum};
const Operation all_reduce_sum_operation = {.name = "all_reduce_sum",
                                            .kind = Operation::Kind::collective,
                                            .gradient = all_reduce_sum_gradient,
                                            .start = start_all_reduce_sum};
const Operation scatter_sums_operation = {
    .name = "scatter_sums", .kind = Operation::Kind::collective, .start = start_scatter_sums};
const Operation gather_slices_operation = {
    .name = "gather_slices", .kind = Operation::Kind::collective, .start = start_gather_slices};
const Operation all_reduce_bucket_operation = {.name = "all_reduce_bucket",
                                               .kind = Operation::Kind::collective,
                                               .start = start_all_reduce_sum};

Tensor all_gather(const Tensor& x, Communicator& communicator, const std::vector<int64_t>& rows) {
  return gathered(x, communicator, shared(rows));
}

Tensor reduce_scatter_sum(const Tensor& x, Communicator& communicator,
                          const std::vector<int64_t>& rows) {
  return reduced_and_scattered(x, communicator, shared(rows));
}

Tensor all_reduce_sum(const Tensor& x, Communicator& communicator) {
  LACUNA_CHECK(can_be_summed(x.dtype()) || x.dtype() == DType::i64, "all_reduce_sum of ",
               name_of(x.dtype()));
  if (communicator.size() == 1) return x;
  return record_collective(all_reduce_sum_operation, x, x.shape(), communicator);
}

Tensors all_reduce_bucket(const Tensors& x, Communicator& communicator) {
  if (communicator.size() == 1 || x.empty()) return x;
  return record_bucket(all_reduce_bucket_operation, x, communicator,
                       [](const Shape& shape) { return shape; });
}

Tensors scatter_sums(const Tensors& x, Communicator& communicator) {
  LACUNA_CHECK(communicator.size() > 1 && !x.empty());
  return record_bucket(scatter_sums_operation, x, communicator, [&](const Shape& shape) {
    const auto count = static_cast<size_t>(shape.count());
    const int rank = communicator.rank();
    const int ranks = communicator.size();
    return Shape{static_cast<int64_t>(slice_begin(count, rank + 1, ranks) -
                                      slice_begin(count, rank, ranks))};
  });
}

Update gather_slices(const std::vector<State*>& states, Communicator& communicator) {
  Update update{&gather_slices_operation, {}, states, {}, &communicator};
  for (const State* state : states) update.inputs.push_back(state->tensor());
  return update;
}

Update sum_over_ranks(State& state, Communicator& communicator) {
  return {&all_reduce_sum_operation, {state.tensor()}, {&state}, {}, &communicator};
}

std::span<const Operation* const> collectives_operations() {
  static constexpr std::array all = {
      &all_gather_operation,        &reduce_scatter_sum_operation, &all_reduce_sum_operation,
      &all_reduce_bucket_operation, &scatter_sums_operation,       &gather_slices_operation,
  };
  return all;
}

}  // namespace lacuna
