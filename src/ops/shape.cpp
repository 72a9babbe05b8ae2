#include "ops/shape.h"

#include <array>

#include "kernels/rows.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Tensors reshape_gradient(const NodePointer& node, const Tensors& dy) {
  return {reshape(dy[0], node->inputs[0].shape())};
}

int64_t elements_per_row(const Tensor& x) { return x.shape().from(1).count(); }

Tensors rows_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& x = node->inputs[0];
  const int64_t per_row = elements_per_row(x);
  const int64_t begin = per_row == 0 ? 0 : node->view_offset / per_row;
  return {place_rows(dy[0], begin, x.shape()[0])};
}

Tensors place_rows_gradient(const NodePointer& node, const Tensors& dy) {
  const int64_t begin = node->attributes.as<PlaceRows>().begin;
  return {rows(dy[0], begin, begin + node->inputs[0].shape()[0])};
}

Tensors concatenate_gradient(const NodePointer& node, const Tensors& dy) {
  Tensors gradients;
  int64_t begin = 0;
  for (const Tensor& x : node->inputs) {
    gradients.push_back(rows(dy[0], begin, begin + x.shape()[0]));
    begin += x.shape()[0];
  }
  return gradients;
}

}  // namespace

const Operation reshape_operation = {
    .name = "reshape", .kind = Operation::Kind::view, .gradient = reshape_gradient};
const Operation stop_gradient_operation = {
    .name = "stop_gradient", .kind = Operation::Kind::view, .gradient = no_gradient};
const Operation rows_operation = {
    .name = "rows", .kind = Operation::Kind::view, .gradient = rows_gradient};
const Operation place_rows_operation = {.name = "place_rows", .gradient = place_rows_gradient};
const Operation concatenate_operation = {.name = "concatenate", .gradient = concatenate_gradient};

Tensor reshape(const Tensor& x, const Shape& shape) {
  LACUNA_CHECK(x.shape().count() == shape.count(), "reshape of ", x.shape(), " to ", shape);
  return x.shape() == shape ? x : record_view(reshape_operation, x, shape);
}

Tensor flatten(const Tensor& x) {
  LACUNA_CHECK(x.shape().rank() >= 1, "flatten of a scalar");
  return reshape(x, Shape{x.shape()[0], elements_per_row(x)});
}

Tensor stop_gradient(const Tensor& x) { return record_view(stop_gradient_operation, x, x.shape()); }

Tensor rows(const Tensor& x, int64_t begin, int64_t end) {
  LACUNA_CHECK(x.shape().rank() >= 1 && 0 <= begin && begin <= end && end <= x.shape()[0], "rows ",
               begin, " to ", end, " of ", x.shape());
  Shape shape = x.shape();
  shape.set(0, end - begin);
  return record_view(rows_operation, x, shape, begin * elements_per_row(x));
}

Tensor place_rows(const Tensor& x, int64_t begin, int64_t total) {
  LACUNA_CHECK(x.shape().rank() >= 1 && 0 <= begin && begin + x.shape()[0] <= total,
               "place_rows of ", x.shape(), " at ", begin, " of ", total);
  Shape shape = x.shape();
  shape.set(0, total);
  return record_one(place_rows_operation, {x}, {x.dtype(), shape}, PlaceRows{begin});
}

Tensor concatenate(const Tensors& x) {
  LACUNA_CHECK(!x.empty());
  Shape shape = x[0].shape();
  LACUNA_CHECK(shape.rank() >= 1, "concatenate of scalars");
  int64_t total = 0;
  for (const Tensor& part : x) {
    LACUNA_CHECK(part.dtype() == x[0].dtype() && part.shape().rank() == shape.rank() &&
                     part.shape().from(1) == shape.from(1),
                 "concatenate of ", name_of(x[0].dtype()), " ", x[0].shape(), " and ",
                 name_of(part.dtype()), " ", part.shape());
    total += part.shape()[0];
  }
  if (x.size() == 1) return x[0];
  shape.set(0, total);
  return record_one(concatenate_operation, x, {x[0].dtype(), shape});
}

std::span<const Operation* const> shape_operations() {
  static constexpr std::array all = {
      &reshape_operation,    &stop_gradient_operation, &rows_operation,
      &place_rows_operation, &concatenate_operation,
  };
  return all;
}

}  // namespace lacuna
