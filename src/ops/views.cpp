#include "ops/views.h"

#include <array>

namespace lacuna {

const Operation make_views_operation = {.name = "make_views", .gradient = no_gradient};

Tensor make_views(const Tensor& sample, const Tensor& draws, const Shape& shape, DType dtype,
                  const ViewAttributes& attributes) {
  const Shape& in = sample.shape();
  const Shape of_draws{in[0], static_cast<int64_t>(sizeof(ViewDraws))};
  LACUNA_CHECK(is_stored_view_type(sample.dtype()) && in.rank() == 4 && in[3] == shape[2] &&
                   in[3] <= max_view_channels && shape.rank() == 3 && draws.dtype() == DType::u8 &&
                   draws.shape() == of_draws,
               "make_views of ", name_of(sample.dtype()), " ", in, " and ", draws.shape());
  return record_one(make_views_operation, {sample, draws}, {dtype, shape.behind(in[0])},
                    attributes);
}

std::span<const Operation* const> views_operations() {
  static constexpr std::array all = {
      &make_views_operation,
  };
  return all;
}

}  // namespace lacuna
