#include "ops/gather.h"

#include <array>

#include "kernels/gather.h"
#include "ops/shape.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

bool are_places(const Tensor& places) {
  return places.dtype() == DType::i32 || places.dtype() == DType::i64;
}

Tensors gather_tokens_gradient(const NodePointer& node, const Tensors& dy) {
  return {scatter_tokens(dy[0], node->inputs[1], node->inputs[0].shape()[1]), Tensor()};
}

Tensors scatter_tokens_gradient(const NodePointer& node, const Tensors& dy) {
  return {gather_tokens(dy[0], node->inputs[1]), Tensor()};
}

const Operation gather_tokens_operation = {.name = "gather_tokens",
                                           .gradient = gather_tokens_gradient};

}  // namespace

const Operation scatter_tokens_operation = {.name = "scatter_tokens",
                                            .gradient = scatter_tokens_gradient};

Tensor gather_tokens(const Tensor& x, const Tensor& places) {
  const Shape& shape = x.shape();
  LACUNA_CHECK(is_float(x.dtype()) && shape.rank() == 3 && are_places(places) &&
                   places.shape().rank() == 2 && places.shape()[0] == shape[0],
               "gather_tokens of ", name_of(x.dtype()), " ", shape, " at ", name_of(places.dtype()),
               " ", places.shape());
  return record_one(gather_tokens_operation, {x, places},
                    {x.dtype(), Shape{shape[0], places.shape()[1], shape[2]}});
}

Tensor scatter_tokens(const Tensor& x, const Tensor& places, int64_t length) {
  const Shape& shape = x.shape();
  LACUNA_CHECK(is_float(x.dtype()) && shape.rank() == 3 && are_places(places) &&
                   places.shape() == (Shape{shape[0], shape[1]}) && length >= 0,
               "scatter_tokens of ", name_of(x.dtype()), " ", shape, " at ",
               name_of(places.dtype()), " ", places.shape(), " of ", length);
  return record_one(scatter_tokens_operation, {x, places},
                    {x.dtype(), Shape{shape[0], length, shape[2]}});
}

// A table is one sample of V tokens.
Tensor embedding(const Tensor& table, const Tensor& ids) {
  LACUNA_CHECK(is_float(table.dtype()) && table.shape().rank() == 2 && are_places(ids),
               "embedding of ", name_of(ids.dtype()), " ", ids.shape(), " in ",
               name_of(table.dtype()), " ", table.shape());
  const int64_t count = ids.shape().count();
  const Tensor rows =
      gather_tokens(reshape(table, table.shape().behind(1)), reshape(ids, Shape{1, count}));
  std::vector<int64_t> sizes(ids.shape().sizes().begin(), ids.shape().sizes().end());
  sizes.push_back(table.shape()[1]);
  return reshape(rows, Shape(sizes));
}

std::span<const Operation* const> gather_operations() {
  static constexpr std::array all = {
      &gather_tokens_operation,
      &scatter_tokens_operation,
  };
  return all;
}

}  // namespace lacuna
