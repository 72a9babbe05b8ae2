#include "ops/tokens.h"

#include <array>

#include "kernels/tokens.h"
#include "ops/matrix_product.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Tensors prepend_token_gradient(const NodePointer& node, const Tensors& dy) {
  return {take_tokens(dy[0], 1, node->inputs[0].shape()[1]),
          column_sum(take_tokens(dy[0], 0, 1), node->inputs[1].dtype())};
}

Tensors take_tokens_gradient(const NodePointer& node, const Tensors& dy) {
  return {place_tokens(dy[0], node->attributes.as<Tokens>().begin, node->inputs[0].shape()[1])};
}

Tensors place_tokens_gradient(const NodePointer& node, const Tensors& dy) {
  return {take_tokens(dy[0], node->attributes.as<Tokens>().begin, node->inputs[0].shape()[1])};
}

}  // namespace

const Operation prepend_token_operation = {.name = "prepend_token",
                                           .gradient = prepend_token_gradient};
const Operation take_tokens_operation = {.name = "take_tokens", .gradient = take_tokens_gradient};
const Operation place_tokens_operation = {.name = "place_tokens",
                                          .gradient = place_tokens_gradient};

Tensor prepend_token(const Tensor& x, const Tensor& token) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() == 3 &&
                   token.shape() == Shape{x.shape()[2]} &&
                   token.dtype() == parameter_type(x.dtype()),
               "prepend_token of ", name_of(x.dtype()), " ", x.shape(), " and ",
               name_of(token.dtype()), " ", token.shape());
  Shape shape = x.shape();
  shape.set(1, shape[1] + 1);
  return record_one(prepend_token_operation, {x, token}, {x.dtype(), shape});
}

Tensor take_tokens(const Tensor& x, int64_t begin, int64_t count) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() == 3 && 0 <= begin && 0 <= count &&
                   begin + count <= x.shape()[1],
               "take_tokens from ", begin, " on, ", count, " of ", name_of(x.dtype()), " ",
               x.shape());
  Shape shape = x.shape();
  shape.set(1, count);
  return record_one(take_tokens_operation, {x}, {x.dtype(), shape}, Tokens{begin});
}

Tensor place_tokens(const Tensor& x, int64_t begin, int64_t total) {
  LACUNA_CHECK(
      is_float(x.dtype()) && x.shape().rank() == 3 && 0 <= begin && begin + x.shape()[1] <= total,
      "place_tokens of ", name_of(x.dtype()), " ", x.shape(), " at ", begin, " of ", total);
  Shape shape = x.shape();
  shape.set(1, total);
  return record_one(place_tokens_operation, {x}, {x.dtype(), shape}, Tokens{begin});
}

std::span<const Operation* const> tokens_operations() {
  static constexpr std::array all = {
      &prepend_token_operation,
      &take_tokens_operation,
      &place_tokens_operation,
  };
  return all;
}

}  // namespace lacuna
