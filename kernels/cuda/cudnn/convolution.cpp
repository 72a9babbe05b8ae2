#include "kernels/convolution.h"

#include <algorithm>

#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/cudnn/library.h"
#include "kernels/cuda/cudnn/operands.h"
#include "kernels/cuda/support/weights.h"

namespace lacuna::cuda::library {

namespace {

// The library's fast engines want channels in multiples of 8 elements of 16 bits and filters with
// the channels innermost: where operands are not so, they are brought into this form in scratch.
struct ConvolutionProblem {
  Convolution sizes;
  DType type;    // of activations
  int64_t c, k;  // channels as the library sees them
  int64_t taps = 1;
  int64_t rows_in, rows_out;
  Sizes x, w, y;  // NCHW order
  Sizes stride, padding, dilation;

  ConvolutionProblem(const Convolution& s, DType dtype) : sizes(s), type(dtype) {
    const int64_t multiple = size_of(dtype) == 2 ? 8 : 1;
    const auto padded = [&](int64_t n) { return (n + multiple - 1) / multiple * multiple; };
    c = padded(s.in_channels);
    k = padded(s.out_channels);
    x = {s.batch, c};
    w = {k, c};
    y = {s.batch, k};
    rows_in = rows_out = s.batch;
    for (int64_t i = s.axes == 3 ? 0 : 1; i < 3; ++i) {
      x.push_back(s.in[i]);
      w.push_back(s.kernel[i]);
      y.push_back(s.out[i]);
      stride.push_back(s.stride[i]);
      padding.push_back(s.padding[i]);
      dilation.push_back(s.dilation[i]);
      taps *= s.kernel[i];
      rows_in *= s.in[i];
      rows_out *= s.out[i];
    }
  }
  std::string text(const char* operation) const {
    std::string result = concat(operation, " ", name_of(type), " x");
    for (const int64_t n : x) result += concat(" ", n);
    result += " w";
    for (const int64_t n : w) result += concat(" ", n);
    result += " stride";
    for (const int64_t n : stride) result += concat(" ", n);
    result += " padding";
    for (const int64_t n : padding) result += concat(" ", n);
    if (std::all_of(dilation.begin(), dilation.end(), [](int64_t n) { return n == 1; }))
      return result;
    result += " dilation";
    for (const int64_t n : dilation) result += concat(" ", n);
    return result;
  }
  template <typename Options>
  Options options() const {
    return Options()
        .set_pre_padding(padding)
        .set_post_padding(padding)
        .set_stride(stride)
        .set_dilation(dilation);
  }
};

// Filters and their gradient: PyTorch's layout outside, the library's inside.
class Filters {
 public:
  Filters(const View& view, const ConvolutionProblem& problem, Parts& parts)
      : view_(view),
        problem_(problem),
        copied_(view.dtype != problem.type || problem.k != problem.sizes.out_channels ||
                problem.c != problem.sizes.in_channels || (problem.c > 1 && problem.taps > 1) ||
                !is_aligned(view.data)),
        part_(copied_ ? parts.add(bytes_of(problem.type, problem.k * problem.taps * problem.c))
                      : 0) {}
  const void* read(const Call& call, const Parts& parts) const {
    if (!copied_) return view_.data;
    const Convolution& s = problem_.sizes;
    to_channels_last(call, view_.data, view_.dtype, parts.at(part_), problem_.type, s.out_channels,
                     s.in_channels, problem_.taps, problem_.k, problem_.c);
    return parts.at(part_);
  }
  void* place(const Parts& parts) const { return copied_ ? parts.at(part_) : view_.data; }
  void written(const Call& call, const Parts& parts) const {
    if (!copied_) return;
    const Convolution& s = problem_.sizes;
    from_channels_last(call, parts.at(part_), problem_.type, view_.data, view_.dtype,
                       s.out_channels, s.in_channels, problem_.taps, problem_.k, problem_.c);
  }

 private:
  View view_;
  const ConvolutionProblem& problem_;
  bool copied_;
  size_t part_;
};

ExecutionPlan* forward_plan(const Call& call, const ConvolutionProblem& p, const View* bias) {
  const std::string text =
      concat(p.text("convolution"), bias != nullptr ? concat(" bias ", name_of(bias->dtype)) : "");
  const auto describe = [&](Graph& graph) {
    const GraphTensor x = tensor(graph, 1, p.type, p.x, channels_last(p.x));
    const GraphTensor w = tensor(graph, 2, p.type, p.w, channels_last(p.w));
    GraphTensor y = graph.conv_fprop(x, w, p.options<fe::graph::Conv_fprop_attributes>());
    if (bias != nullptr) {
      Sizes sizes(p.x.size(), 1);
      sizes[1] = p.k;
      y->set_data_type(fe::DataType_t::FLOAT);
      y = graph.pointwise(y, tensor(graph, 4, bias->dtype, sizes, channels_last(sizes)),
                          fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    }
    set_output(y, 3, p.type, p.y, channels_last(p.y));
  };
  if (bias != nullptr) return library(call).find(text, p.type, describe);
  return &library(call).plan(text, p.type, describe);
}

// y [rows, K] += bias, by our own kernel.
void add_bias(const Call& call, const View& bias) {
  View y = call.out[0];
  y.shape = Shape{y.count() / bias.count(), bias.count()};
  View added = bias;
  if (bias.dtype != DType::f32) {
    added = {call.context.scratch(bytes_of(DType::f32, bias.count())), DType::f32, bias.shape};
    convert(call, bias.data, bias.dtype, added.data, added.dtype, bias.count());
  }
  const View in[] = {y, added};
  run_ours("add_to_each", {in, {&y, 1}, call.attributes, call.context});
}

}  // namespace

void convolution(const Call& call) {
  using Operand = operands::Convolution;
  const auto sizes = call.attributes.as<Convolution>();
  if (call.out[Operand::y].count() == 0) return;
  const ConvolutionProblem p(sizes, call.in[Operand::x].dtype);
  const View* bias = sizes.bias != 0 ? &call.in[Operand::bias] : nullptr;
  ExecutionPlan* plan = forward_plan(call, p, bias);
  const bool fused = bias != nullptr && plan != nullptr;
  if (plan == nullptr) plan = forward_plan(call, p, nullptr);
  Parts parts;
  const Activations x(call.in[Operand::x], p.rows_in, sizes.in_channels, p.c, parts);
  const Filters w(call.in[Operand::w], p, parts);
  const Activations y(call.out[Operand::y], p.rows_out, sizes.out_channels, p.k, parts);
  const size_t workspace = parts.add(plan->workspace);
  if (fused) {
    const Activations added(*bias, 1, sizes.out_channels, p.k, parts);
    parts.take(call);
    library(call).execute(
        *plan, {x.read(call, parts), w.read(call, parts), y.place(parts), added.read(call, parts)},
        parts.at(workspace));
  } else {
    parts.take(call);
    library(call).execute(*plan, {x.read(call, parts), w.read(call, parts), y.place(parts)},
                          parts.at(workspace));
  }
  y.written(call, parts);
  if (bias != nullptr && !fused) add_bias(call, *bias);
}

void convolution_data_gradient(const Call& call) {
  if (call.out[0].count() == 0) return;
  const auto sizes = call.attributes.as<Convolution>();
  const ConvolutionProblem p(sizes, call.in[0].dtype);
  ExecutionPlan& plan =
      library(call).plan(p.text("convolution_data_gradient"), p.type, [&](Graph& graph) {
        const GraphTensor dy = tensor(graph, 1, p.type, p.y, channels_last(p.y));
        const GraphTensor w = tensor(graph, 2, p.type, p.w, channels_last(p.w));
        set_output(graph.conv_dgrad(dy, w, p.options<fe::graph::Conv_dgrad_attributes>()), 3,
                   p.type, p.x, channels_last(p.x));
      });
  Parts parts;
  const Activations dy(call.in[0], p.rows_out, sizes.out_channels, p.k, parts);
  const Filters w(call.in[1], p, parts);
  const Activations dx(call.out[0], p.rows_in, sizes.in_channels, p.c, parts);
  const size_t workspace = parts.add(plan.workspace);
  parts.take(call);
  library(call).execute(plan, {dy.read(call, parts), w.read(call, parts), dx.place(parts)},
                        parts.at(workspace));
  dx.written(call, parts);
}

// The library writes it in the type of activations (f32 from bf16 it has only as a fused cast of
// slower engines): each element is rounded once, after its sum in f32.
void convolution_weight_gradient(const Call& call) {
  const auto sizes = call.attributes.as<Convolution>();
  if (call.in[0].count() == 0 || call.in[1].count() == 0) return clear(call, call.out[0]);
  const ConvolutionProblem p(sizes, call.in[0].dtype);
  ExecutionPlan& plan =
      library(call).plan(p.text("convolution_weight_gradient"), p.type, [&](Graph& graph) {
        const GraphTensor x = tensor(graph, 1, p.type, p.x, channels_last(p.x));
        const GraphTensor dy = tensor(graph, 2, p.type, p.y, channels_last(p.y));
        set_output(graph.conv_wgrad(dy, x, p.options<fe::graph::Conv_wgrad_attributes>()), 3,
                   p.type, p.w, channels_last(p.w));
      });
  Parts parts;
  const Activations x(call.in[0], p.rows_in, sizes.in_channels, p.c, parts);
  const Activations dy(call.in[1], p.rows_out, sizes.out_channels, p.k, parts);
  const Filters dw(call.out[0], p, parts);
  const size_t workspace = parts.add(plan.workspace);
  parts.take(call);
  library(call).execute(plan, {x.read(call, parts), dy.read(call, parts), dw.place(parts)},
                        parts.at(workspace));
  dw.written(call, parts);
}

}  // namespace lacuna::cuda::library
