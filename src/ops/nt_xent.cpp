#include "ops/nt_xent.h"

#include <array>

#include "kernels/nt_xent.h"
#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

Tensors gradient(const NodePointer& node, const Tensors& dloss) {
  Tensors inputs = {dloss[0]};
  inputs.insert(inputs.end(), node->inputs.begin(), node->inputs.end());
  inputs.emplace_back(node, 1);
  std::vector<Spec> outputs;
  for (size_t i = 0; i < operands::NtXent::first; ++i)
    outputs.push_back({node->inputs[i].dtype(), node->inputs[i].shape()});
  const NodePointer gradients =
      record(nt_xent_gradient_operation, std::move(inputs), std::move(outputs), node->attributes);
  return {Tensor(gradients, 0), Tensor(gradients, 1), Tensor(gradients, 2), Tensor(gradients, 3),
          Tensor()};
}

}  // namespace

const Operation nt_xent_operation = {.name = "nt_xent", .gradient = gradient};
const Operation nt_xent_gradient_operation = {.name = "nt_xent_gradient"};

Tensor nt_xent(const Tensor& z0, const Tensor& z1, const Tensor& all0, const Tensor& all1,
               double temperature, const Tensor& first_row) {
  const Shape& mine = z0.shape();
  const Shape& all = all0.shape();
  LACUNA_CHECK(mine.rank() == 2 && z1.shape() == mine && all.rank() == 2 && all1.shape() == all &&
                   all[1] == mine[1] && mine[0] <= all[0],
               "nt_xent of ", mine, " and ", z1.shape(), " of ", all, " and ", all1.shape());
  LACUNA_CHECK(first_row.dtype() == DType::i64 && first_row.shape() == Shape{}, "nt_xent from ",
               name_of(first_row.dtype()), " row ", first_row.shape());
  LACUNA_CHECK(temperature > 0, "temperature ", temperature);
  const DType dtype = parameter_type(z0.dtype());
  Tensors inputs;
  for (const Tensor& z : {z0, z1, all0, all1}) {
    LACUNA_CHECK(z.dtype() == z0.dtype(), "nt_xent of ", name_of(z0.dtype()), " and ",
                 name_of(z.dtype()));
    inputs.push_back(cast(z, dtype));
  }
  inputs.push_back(first_row);
  return {record(nt_xent_operation, std::move(inputs),
                 {{dtype, Shape{}}, {dtype, Shape{2 * mine[0]}}}, NtXent{temperature}),
          0};
}

std::span<const Operation* const> nt_xent_operations() {
  static constexpr std::array all = {
      &nt_xent_operation,
      &nt_xent_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
