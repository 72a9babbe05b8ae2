#include "ops/convolution.h"

#include <algorithm>
#include <array>

#include "kernels/convolution.h"
#include "ops/matrix_product.h"
#include "ops/types.h"

namespace lacuna {

namespace {

using Tensors = std::vector<Tensor>;

int64_t of_axis(const std::vector<int64_t>& values, int axis, const char* what) {
  const auto i = static_cast<size_t>(axis);
  LACUNA_CHECK(values.size() == 1 || i < values.size(), "convolution's ", what, " for axis ", axis,
               " of ", values.size());
  return values.size() == 1 ? values[0] : values[i];
}

// Sizes with spatial axes filled up to three in front.
Convolution sizes_of(const Tensor& x, const Tensor& w, bool bias,
                     const ConvolutionOptions& options) {
  const int axes = x.shape().rank() - 2;
  const int64_t groups = options.groups;
  LACUNA_CHECK(axes >= 1 && axes <= 3 && w.shape().rank() == axes + 2 && groups >= 1 &&
                   w.shape()[0] % groups == 0 && w.shape()[1] * groups == x.shape()[-1],
               "convolution of ", x.shape(), " with weights ", w.shape(), " in ", groups,
               groups == 1 ? " group" : " groups");
  Convolution c{};
  c.batch = x.shape()[0];
  c.in_channels = x.shape()[-1];
  c.out_channels = w.shape()[0];
  c.axes = axes;
  c.bias = bias;
  c.groups = groups;
  for (int i = 0; i < 3; ++i) {
    const int axis = i - (3 - axes);
    const bool filler = axis < 0;
    c.in[i] = filler ? 1 : x.shape()[axis + 1];
    c.kernel[i] = filler ? 1 : w.shape()[axis + 2];
    c.stride[i] = filler ? 1 : of_axis(options.stride, axis, "stride");
    c.padding[i] = filler ? 0 : of_axis(options.padding, axis, "padding");
    c.dilation[i] = filler ? 1 : of_axis(options.dilation, axis, "dilation");
    LACUNA_CHECK(c.stride[i] >= 1 && c.padding[i] >= 0 && c.kernel[i] >= 1 && c.dilation[i] >= 1);
    const int64_t extent = (c.kernel[i] - 1) * c.dilation[i] + 1;
    const int64_t room = c.in[i] + 2 * c.padding[i] - extent;
    if (room < 0) {
      bad_input("a convolution's kernel of ", extent, " does not fit into ", c.in[i],
                " pixels with ", c.padding[i], " of padding (activations ", x.shape(),
                "): use larger images or an encoder that reduces them less");
    }
    c.out[i] = room / c.stride[i] + 1;
  }
  return c;
}

// Operations of one group and of several: kernels of the latter may be missing.
bool has_groups(const Convolution& sizes) { return sizes.groups > 1; }

Tensors convolution_gradient(const NodePointer& node, const Tensors& gradients) {
  const Tensor& x = node->inputs[operands::Convolution::x];
  const Tensor& w = node->inputs[operands::Convolution::w];
  const Tensor& dy = gradients[0];
  auto sizes = node->attributes.as<Convolution>();
  const bool bias = sizes.bias != 0;
  sizes.bias = 0;
  const Operation& by_data = has_groups(sizes) ? grouped_convolution_data_gradient_operation
                                               : convolution_data_gradient_operation;
  const Operation& by_weights = has_groups(sizes) ? grouped_convolution_weight_gradient_operation
                                                  : convolution_weight_gradient_operation;
  Tensors result = {record_one(by_data, {dy, w}, {x.dtype(), x.shape()}, sizes),
                    record_one(by_weights, {x, dy}, {w.dtype(), w.shape()}, sizes)};
  if (bias) result.push_back(column_sum(dy, node->inputs[operands::Convolution::bias].dtype()));
  return result;
}

// What follows computes groups as one convolution whose weights between groups are zero.

Shape one_group(const Shape& weights, int64_t groups) {
  Shape shape = weights;
  shape.set(1, weights[1] * groups);
  return shape;
}

Convolution one_group(Convolution sizes) {
  sizes.groups = 1;
  return sizes;
}

Tensor block_diagonal(const Tensor& w, int64_t groups) {
  return record_one(block_diagonal_operation, {w}, {w.dtype(), one_group(w.shape(), groups)},
                    Groups{groups});
}

Tensors block_diagonal_gradient(const NodePointer& node, const Tensors& dy) {
  const Tensor& w = node->inputs[0];
  return {record_one(diagonal_blocks_operation, {dy[0]}, {w.dtype(), w.shape()}, node->attributes)};
}

Tensors diagonal_blocks_gradient(const NodePointer& node, const Tensors& dy) {
  return {block_diagonal(dy[0], node->attributes.as<Groups>().groups)};
}

Tensors grouped_composition(const NodePointer& node) {
  const auto sizes = node->attributes.as<Convolution>();
  Tensors inputs = node->inputs;
  Tensor& w = inputs[operands::Convolution::w];
  w = block_diagonal(w, sizes.groups);
  return {record_one(convolution_operation, std::move(inputs), node->outputs[0], one_group(sizes))};
}

Tensors grouped_data_gradient_composition(const NodePointer& node) {
  const auto sizes = node->attributes.as<Convolution>();
  return {record_one(convolution_data_gradient_operation,
                     {node->inputs[0], block_diagonal(node->inputs[1], sizes.groups)},
                     node->outputs[0], one_group(sizes))};
}

Tensors grouped_weight_gradient_composition(const NodePointer& node) {
  const auto sizes = node->attributes.as<Convolution>();
  const Spec& dw = node->outputs[0];
  const Tensor whole = record_one(convolution_weight_gradient_operation, node->inputs,
                                  {dw.dtype, one_group(dw.shape, sizes.groups)}, one_group(sizes));
  return {record_one(diagonal_blocks_operation, {whole}, dw, Groups{sizes.groups})};
}

}  // namespace

const Operation convolution_operation = {.name = "convolution", .gradient = convolution_gradient};
const Operation convolution_data_gradient_operation = {.name = "convolution_data_gradient"};
const Operation convolution_weight_gradient_operation = {.name = "convolution_weight_gradient"};
const Operation grouped_convolution_operation = {.name = "grouped_convolution",
                                                 .gradient = convolution_gradient,
                                                 .composition = grouped_composition};
const Operation grouped_convolution_data_gradient_operation = {
    .name = "grouped_convolution_data_gradient", .composition = grouped_data_gradient_composition};
const Operation grouped_convolution_weight_gradient_operation = {
    .name = "grouped_convolution_weight_gradient",
    .composition = grouped_weight_gradient_composition};
const Operation block_diagonal_operation = {.name = "block_diagonal",
                                            .gradient = block_diagonal_gradient};
const Operation diagonal_blocks_operation = {.name = "diagonal_blocks",
                                             .gradient = diagonal_blocks_gradient};

Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias,
                   const ConvolutionOptions& options) {
  const auto fits = [&](DType dtype) {
    return dtype == x.dtype() || dtype == parameter_type(x.dtype());
  };
  LACUNA_CHECK(is_float(x.dtype()) && fits(w.dtype()), "convolution of ", name_of(x.dtype()),
               " with ", name_of(w.dtype()), " weights");
  const Convolution sizes = sizes_of(x, w, bias.defined(), options);
  Tensors inputs = {x, w};
  if (bias.defined()) {
    LACUNA_CHECK(fits(bias.dtype()) && bias.shape() == Shape{w.shape()[0]},
                 "convolution with weights ", w.shape(), " and ", name_of(bias.dtype()), " bias ",
                 bias.shape());
    inputs.push_back(bias);
  }
  Shape shape = x.shape();
  for (int axis = 0; axis < sizes.axes; ++axis)
    shape.set(axis + 1, sizes.out[3 - sizes.axes + axis]);
  shape.set(-1, sizes.out_channels);
  return record_one(has_groups(sizes) ? grouped_convolution_operation : convolution_operation,
                    std::move(inputs), {x.dtype(), shape}, sizes);
}

std::span<const Operation* const> convolution_operations() {
  static constexpr std::array all = {
      &convolution_operation,
      &convolution_data_gradient_operation,
      &convolution_weight_gradient_operation,
      &grouped_convolution_operation,
      &grouped_convolution_data_gradient_operation,
      &grouped_convolution_weight_gradient_operation,
      &block_diagonal_operation,
      &diagonal_blocks_operation,
  };
  return all;
}

}  // namespace lacuna
