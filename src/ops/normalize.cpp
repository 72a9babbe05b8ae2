#include "ops/normalize.h"

#include <array>

#include "kernels/rows.h"
#include "ops/types.h"

namespace lacuna {

namespace {

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  const Tensor y(node, 0);
  const Tensor norms(node, 1);
  return {record_one(normalize_rows_gradient_operation, {dy[0], y, norms}, {y.dtype(), y.shape()},
                     node->attributes)};
}

}  // namespace

const Operation normalize_rows_operation = {.name = "normalize_rows", .gradient = gradient};
const Operation normalize_rows_gradient_operation = {.name = "normalize_rows_gradient"};

Tensor normalize(const Tensor& x, double epsilon) {
  LACUNA_CHECK(is_float(x.dtype()) && x.shape().rank() == 2 && epsilon > 0, "normalize of ",
               name_of(x.dtype()), " ", x.shape(), " with epsilon ", epsilon);
  return {record(normalize_rows_operation, {x},
                 {{x.dtype(), x.shape()}, {parameter_type(x.dtype()), Shape{x.shape()[0]}}},
                 NormalizeRows{epsilon}),
          0};
}

std::span<const Operation* const> normalize_operations() {
  static constexpr std::array all = {
      &normalize_rows_operation,
      &normalize_rows_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
