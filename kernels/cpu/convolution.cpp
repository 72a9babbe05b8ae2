// Convolutions by oneDNN, and 3x3 ones of stride 1 in f32 by kernels of our own where those are
// faster (support/winograd_choice.h). oneDNN's: 2 B prod(out) K C prod(kernel) FLOPs each, bound by
// arithmetic (the floor is the processor's FLOPs; 64 channels to 64 take 144 FLOPs a byte of f32
// activations).
//
// Activations stay channels-last, first layers with their few channels too. Only the forward of
// deep layers is left to oneDNN's choice: their images are small, so a reorder costs 2 % of the
// convolution, and blocked layouts save more (512 channels of 4x4 on a Zen 4 core, f32: 155 against
// 93 GFLOP/s; 256 of 8x8: 132 against 126; gradients the same or slower). Weights are stored as
// PyTorch has them; oneDNN gets the layout it asks for by one reorder a call, a few percent of the
// smallest convolution's time.
#include "kernels/convolution.h"

#include <array>
#include <optional>

#include "kernels/cpu/support/onednn.h"
#include "kernels/cpu/support/winograd.h"
#include "kernels/cpu/support/winograd_choice.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

constexpr int64_t many_channels = 256;

// Spatial sizes of a convolution, its last `axes` ones.
memory::dims spatial(const Convolution& c, const int64_t (&sizes)[3]) {
  return {sizes + (3 - c.axes), sizes + 3};
}

memory::dims dims(int64_t first, int64_t second, const memory::dims& spatial_sizes) {
  memory::dims all{first, second};
  all.insert(all.end(), spatial_sizes.begin(), spatial_sizes.end());
  return all;
}

Tag pick(const Convolution& c, Tag one, Tag two, Tag three) {
  return c.axes == 1 ? one : c.axes == 2 ? two : three;
}

// [K, C, kernel…], with an axis of groups before where there are several.
memory::dims weight_dims(const Convolution& c) {
  memory::dims all =
      dims(c.out_channels / c.groups, c.in_channels / c.groups, spatial(c, c.kernel));
  if (c.groups > 1) all.insert(all.begin(), c.groups);
  return all;
}

// PyTorch's layout.
Tag weight_tag(const Convolution& c) {
  return c.groups > 1 ? pick(c, Tag::goiw, Tag::goihw, Tag::goidhw)
                      : pick(c, Tag::oiw, Tag::oihw, Tag::oidhw);
}

// The operands as the caller has them; `weights` is the view of the weights or of their gradient.
struct Layouts {
  Layouts(const Convolution& c, const View& activations, const View& weights_view)
      : type(onednn_type(activations.dtype)),
        source(dims(c.batch, c.in_channels, spatial(c, c.in)), type,
               pick(c, Tag::nwc, Tag::nhwc, Tag::ndhwc)),
        weights(weight_dims(c), onednn_type(weights_view.dtype), weight_tag(c)),
        destination(dims(c.batch, c.out_channels, spatial(c, c.out)), type,
                    pick(c, Tag::nwc, Tag::nhwc, Tag::ndhwc)) {}
  memory::data_type type;
  memory::desc source, weights, destination;
};

// What oneDNN is asked for, in `type`, activations channels-last or in the layout that it likes
// best; weights always in the latter.
OneDnnConvolution describe(const Convolution& c, memory::data_type type, bool any_activations) {
  const Tag last = any_activations ? Tag::any : pick(c, Tag::nwc, Tag::nhwc, Tag::ndhwc);
  OneDnnConvolution d;
  d.source = memory::desc(dims(c.batch, c.in_channels, spatial(c, c.in)), type, last);
  const memory::dims weights = weight_dims(c);
  d.weights = memory::desc(weights, type, Tag::any);
  d.weight_gradient = memory::desc(weights, memory::data_type::f32, Tag::any);
  if (c.bias) d.bias = memory::desc({c.out_channels}, memory::data_type::f32, Tag::a);
  d.destination = memory::desc(dims(c.batch, c.out_channels, spatial(c, c.out)), type, last);
  d.strides = spatial(c, c.stride);
  d.padding = spatial(c, c.padding);
  d.dilation = spatial(c, c.dilation);
  for (auto& steps : d.dilation) --steps;  // oneDNN counts the pixels between
  return d;
}

// make(description) of the best description that oneDNN has a kernel for. What it has none for in
// bfloat16 (2.6: weight gradients of first layers) is computed in f32 between reorders.
template <typename Make>
auto first_supported(const Convolution& c, memory::data_type type, bool any_activations,
                     const Make& make) {
  const auto f32 = memory::data_type::f32;
  for (const auto candidate : {type, f32}) {
    try {
      return make(describe(c, candidate, any_activations));
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented || candidate == f32) throw;
    }
  }
  LACUNA_CHECK(false, "unreachable");
}

std::string key_of(const char* kind, const Call& call) {
  std::string key = concat(kind, call.attributes.bytes());
  for (const View& view : call.in) key += name_of(view.dtype);
  for (const View& view : call.out) key += name_of(view.dtype);
  return key;
}

using Operands = std::vector<OneDnnProblem::Operand>;

template <typename Primitive, typename Descriptor>
std::unique_ptr<OneDnnProblem> problem_of(OneDnn& onednn, const Descriptor& descriptor,
                                          const Operands& operands) {
  return std::make_unique<OneDnnProblem>(onednn.engine(), Primitive(descriptor),
                                         descriptor.scratchpad_desc().get_size(), operands);
}

// The tile of Winograd's convolution that this call is left to; `weights` or their gradient.
std::optional<WinogradTile> winograds(const Call& call, const Convolution& c, ConvolutionPass pass,
                                      const View& weights) {
  if (call.in[0].dtype != DType::f32 || weights.dtype != DType::f32) return std::nullopt;
  return winograd_tile(c, pass, static_cast<CpuContext&>(call.context).convolution_methods());
}

void convolution(const Call& call) {
  using Operand = operands::Convolution;
  auto& context = static_cast<CpuContext&>(call.context);
  OneDnn& onednn = context.onednn();
  const auto c = call.attributes.as<Convolution>();
  if (c.batch == 0) return;
  const View& w = call.in[Operand::w];
  if (const auto tile = winograds(call, c, ConvolutionPass::forward, w)) {
    const float* bias = c.bias ? call.in[Operand::bias].as<float>() : nullptr;
    return winograd_convolution(context, *tile, winograd_sizes(c), call.in[Operand::x].as<float>(),
                                {w.as<float>(), c.in_channels * 9, 9, false}, bias,
                                call.out[Operand::y].as<float>());
  }
  OneDnnProblem& problem = onednn.problem(key_of("convolution", call), [&] {
    const Layouts l(c, call.in[Operand::x], call.in[Operand::w]);
    const auto descriptor =
        first_supported(c, l.type, c.in_channels >= many_channels,
                        [&](const OneDnnConvolution& d) { return onednn.forward(d); });
    Operands operands{{DNNL_ARG_SRC, l.source, descriptor.src_desc()},
                      {DNNL_ARG_WEIGHTS, l.weights, descriptor.weights_desc()},
                      {DNNL_ARG_DST, l.destination, descriptor.dst_desc(), true}};
    if (c.bias) {
      const memory::desc bias({c.out_channels}, onednn_type(call.in[Operand::bias].dtype), Tag::a);
      operands.push_back({DNNL_ARG_BIAS, bias, descriptor.bias_desc()});
    }
    return problem_of<dnnl::convolution_forward>(onednn, descriptor, operands);
  });
  std::vector<void*> addresses{call.in[Operand::x].data, call.in[Operand::w].data,
                               call.out[Operand::y].data};
  if (c.bias) addresses.push_back(call.in[Operand::bias].data);
  problem.run(onednn, call.context, addresses);
}

void convolution_data_gradient(const Call& call) {
  auto& context = static_cast<CpuContext&>(call.context);
  OneDnn& onednn = context.onednn();
  const auto c = call.attributes.as<Convolution>();
  if (c.batch == 0) return;
  if (const auto tile = winograds(call, c, ConvolutionPass::data_gradient, call.in[1])) {
    return winograd_convolution(
        context, *tile, winograd_sizes_of_data_gradient(c), call.in[0].as<float>(),
        {call.in[1].as<float>(), 9, c.in_channels * 9, true}, nullptr, call.out[0].as<float>());
  }
  OneDnnProblem& problem = onednn.problem(key_of("convolution_data_gradient", call), [&] {
    const Layouts l(c, call.in[0], call.in[1]);
    const auto descriptor = first_supported(
        c, l.type, false, [&](const OneDnnConvolution& d) { return onednn.data_gradient(d); });
    return problem_of<dnnl::convolution_backward_data>(
        onednn, descriptor,
        {{DNNL_ARG_DIFF_DST, l.destination, descriptor.diff_dst_desc()},
         {DNNL_ARG_WEIGHTS, l.weights, descriptor.weights_desc()},
         {DNNL_ARG_DIFF_SRC, l.source, descriptor.diff_src_desc(), true}});
  });
  problem.run(onednn, call.context,
              std::vector<void*>{call.in[0].data, call.in[1].data, call.out[0].data});
}

void convolution_weight_gradient(const Call& call) {
  auto& context = static_cast<CpuContext&>(call.context);
  OneDnn& onednn = context.onednn();
  const auto c = call.attributes.as<Convolution>();
  if (c.batch == 0) {  // a sum over nothing
    std::memset(call.out[0].data, 0,
                static_cast<size_t>(call.out[0].count()) * size_of(call.out[0].dtype));
    return;
  }
  if (const auto tile = winograds(call, c, ConvolutionPass::weight_gradient, call.out[0])) {
    return winograd_weight_gradient(context, *tile, winograd_sizes(c), call.in[0].as<float>(),
                                    call.in[1].as<float>(), call.out[0].as<float>());
  }
  OneDnnProblem& problem = onednn.problem(key_of("convolution_weight_gradient", call), [&] {
    const Layouts l(c, call.in[0], call.out[0]);
    const auto descriptor = first_supported(
        c, l.type, false, [&](const OneDnnConvolution& d) { return onednn.weight_gradient(d); });
    return problem_of<dnnl::convolution_backward_weights>(
        onednn, descriptor,
        {{DNNL_ARG_SRC, l.source, descriptor.src_desc()},
         {DNNL_ARG_DIFF_DST, l.destination, descriptor.diff_dst_desc()},
         {DNNL_ARG_DIFF_WEIGHTS, l.weights, descriptor.diff_weights_desc(), true}});
  });
  problem.run(onednn, call.context,
              std::vector<void*>{call.in[0].data, call.in[1].data, call.out[0].data});
}

// copy(element of [K, C / G, kernel…], element of [K, C, kernel…], elements) for the weights of
// each output channel.
template <typename Copy>
void for_blocks(const Call& call, const Shape& small, const Copy& copy) {
  const int64_t groups = call.attributes.as<Groups>().groups;
  const int64_t row = small.from(1).count();
  for (int64_t k = 0; k < small[0]; ++k) {
    const int64_t group = k / (small[0] / groups);
    copy(k * row, (k * groups + group) * row, row);
  }
}

void block_diagonal(const Call& call) {
  const View& y = call.out[0];
  const size_t size = size_of(y.dtype);
  std::memset(y.data, 0, static_cast<size_t>(y.count()) * size);
  for_blocks(call, call.in[0].shape, [&](int64_t from, int64_t to, int64_t count) {
    std::memcpy(static_cast<std::byte*>(y.data) + static_cast<size_t>(to) * size,
                static_cast<const std::byte*>(call.in[0].data) + static_cast<size_t>(from) * size,
                static_cast<size_t>(count) * size);
  });
}

void diagonal_blocks(const Call& call) {
  const View& y = call.out[0];
  const size_t size = size_of(y.dtype);
  for_blocks(call, y.shape, [&](int64_t to, int64_t from, int64_t count) {
    std::memcpy(static_cast<std::byte*>(y.data) + static_cast<size_t>(to) * size,
                static_cast<const std::byte*>(call.in[0].data) + static_cast<size_t>(from) * size,
                static_cast<size_t>(count) * size);
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"convolution", {f32, bf16}, convolution},
    KernelEntry{"convolution_data_gradient", {f32, bf16}, convolution_data_gradient},
    KernelEntry{"convolution_weight_gradient", {f32, bf16}, convolution_weight_gradient},
    KernelEntry{"grouped_convolution", {f32, bf16}, convolution},
    KernelEntry{"grouped_convolution_data_gradient", {f32, bf16}, convolution_data_gradient},
    KernelEntry{"grouped_convolution_weight_gradient", {f32, bf16}, convolution_weight_gradient},
    KernelEntry{"block_diagonal", {f32, bf16}, block_diagonal},
    KernelEntry{"diagonal_blocks", {f32, bf16}, diagonal_blocks},
};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return table; }

}  // namespace lacuna::cpu
