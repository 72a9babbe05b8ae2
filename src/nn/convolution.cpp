#include "nn/convolution.h"

#include <array>
#include <functional>
#include <numeric>

namespace lacuna {

namespace {

Shape weight_shape(const ConvolutionShape& shape) {
  LACUNA_CHECK(!shape.kernel.empty() && shape.kernel.size() <= 3 && shape.groups >= 1 &&
                   shape.in % shape.groups == 0 && shape.out % shape.groups == 0,
               "a convolution of ", shape.in, " to ", shape.out, " channels in ", shape.groups,
               " groups over ", shape.kernel.size(), " axes");
  std::vector<int64_t> sizes = {shape.out, shape.in / shape.groups};
  sizes.insert(sizes.end(), shape.kernel.begin(), shape.kernel.end());
  return Shape(sizes);
}

double deviation_of(const ConvolutionShape& shape) {
  const int64_t taps =
      std::accumulate(shape.kernel.begin(), shape.kernel.end(), int64_t{1}, std::multiplies<>());
  return std::sqrt(2.0 / static_cast<double>(shape.out / shape.groups * taps));
}

const char* axes_of(const ConvolutionShape& shape) {
  constexpr std::array names = {"out_channel, in_channel, position",
                                "out_channel, in_channel, row, column",
                                "out_channel, in_channel, plane, row, column"};
  return names.at(shape.kernel.size() - 1);
}

std::vector<int64_t> padding_of(const ConvolutionShape& shape) {
  std::vector<int64_t> padding;
  for (size_t axis = 0; axis < shape.kernel.size(); ++axis) {
    const int64_t dilation = shape.dilation.at(shape.dilation.size() == 1 ? 0 : axis);
    padding.push_back(dilation * (shape.kernel[axis] - 1) / 2);
  }
  return padding;
}

}  // namespace

ConvolutionShape even_convolution(int axes, int64_t in, int64_t out, int64_t kernel,
                                  int64_t stride) {
  return {.in = in,
          .out = out,
          .kernel = std::vector<int64_t>(static_cast<size_t>(axes), kernel),
          .stride = {stride}};
}

ConvolutionLayer::ConvolutionLayer(Scope scope, const ConvolutionShape& shape)
    : weight_(scope.normal("weight", weight_shape(shape), deviation_of(shape))
                  .name_axes(axes_of(shape))),
      bias_(shape.bias ? &scope.constant("bias", {shape.out}, 0).name_axes("channel") : nullptr),
      options_{.stride = shape.stride,
               .padding = padding_of(shape),
               .dilation = shape.dilation,
               .groups = shape.groups} {}

Tensor ConvolutionLayer::operator()(const Tensor& x, ForwardContext&) const {
  return convolution(x, weight_.tensor(), bias_ ? bias_->tensor() : Tensor(), options_);
}

}  // namespace lacuna
