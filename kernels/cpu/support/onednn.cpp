#include "kernels/cpu/support/onednn.h"

#include <omp.h>

#include <string_view>
#include <utility>

namespace lacuna {

namespace {

using dnnl::memory;

constexpr size_t alignment = 64;

size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// The context lends scratch memory, so that all primitives share one.
dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

constexpr auto direct = dnnl::algorithm::convolution_direct;

}  // namespace

// ---- The difference between oneDNN 2 (operation descriptors) and 3 (none) -----------------------

namespace {

// With oneDNN 2.6 the weight gradient of a strided convolution of one position over one axis writes
// behind its scratch memory where samples are long and have less than a vector of channels: its
// implementations for such kernels ("jit_1x1", of bfloat16 "jit_bf16_1x1") are passed over then.
dnnl::convolution_backward_weights::primitive_desc within_its_memory(
    const OneDnnConvolution& c, dnnl::convolution_backward_weights::primitive_desc descriptor) {
  constexpr int64_t vector = 16;
  const auto source = c.source.dims();
  if (source.size() != 3 || c.strides[0] == 1 || source[1] >= vector) return descriptor;
  while (std::string_view(descriptor.impl_info_str()).find("1x1") != std::string_view::npos) {
    if (!descriptor.next_impl()) throw dnnl::error(dnnl_unimplemented, "weight gradient");
  }
  return descriptor;
}

}  // namespace

#if DNNL_VERSION_MAJOR >= 3

dnnl::convolution_forward::primitive_desc OneDnn::forward(const OneDnnConvolution& c) {
  return {engine_,       dnnl::prop_kind::forward_training,
          direct,        c.source,
          c.weights,     c.bias,
          c.destination, c.strides,
          c.dilation,    c.padding,
          c.padding,     user_scratchpad()};
}

dnnl::convolution_backward_data::primitive_desc OneDnn::data_gradient(const OneDnnConvolution& c) {
  return {engine_,    direct,    c.source,  c.weights,  c.destination,    c.strides,
          c.dilation, c.padding, c.padding, forward(c), user_scratchpad()};
}

dnnl::convolution_backward_weights::primitive_desc OneDnn::weight_gradient(
    const OneDnnConvolution& c) {
  return within_its_memory(
      c, {engine_, direct, c.source, c.weight_gradient, c.destination, c.strides, c.dilation,
          c.padding, c.padding, forward(c), user_scratchpad()});
}

dnnl::matmul::primitive_desc OneDnn::product(const memory::desc& a, const memory::desc& b,
                                             const memory::desc& bias, const memory::desc& y) {
  if (bias.is_zero()) return {engine_, a, b, y, user_scratchpad()};
  return {engine_, a, b, bias, y, user_scratchpad()};
}

#else

dnnl::convolution_forward::primitive_desc OneDnn::forward(const OneDnnConvolution& c) {
  const dnnl::convolution_forward::desc operation(dnnl::prop_kind::forward_training, direct,
                                                  c.source, c.weights, c.bias, c.destination,
                                                  c.strides, c.dilation, c.padding, c.padding);
  return {operation, user_scratchpad(), engine_};
}

dnnl::convolution_backward_data::primitive_desc OneDnn::data_gradient(const OneDnnConvolution& c) {
  const dnnl::convolution_backward_data::desc operation(
      direct, c.source, c.weights, c.destination, c.strides, c.dilation, c.padding, c.padding);
  return {operation, user_scratchpad(), engine_, forward(c)};
}

dnnl::convolution_backward_weights::primitive_desc OneDnn::weight_gradient(
    const OneDnnConvolution& c) {
  const dnnl::convolution_backward_weights::desc operation(direct, c.source, c.weight_gradient,
                                                           c.destination, c.strides, c.dilation,
                                                           c.padding, c.padding);
  return within_its_memory(c, {operation, user_scratchpad(), engine_, forward(c)});
}

dnnl::matmul::primitive_desc OneDnn::product(const memory::desc& a, const memory::desc& b,
                                             const memory::desc& bias, const memory::desc& y) {
  if (bias.is_zero()) return {dnnl::matmul::desc(a, b, y), user_scratchpad(), engine_};
  return {dnnl::matmul::desc(a, b, bias, y), user_scratchpad(), engine_};
}

#endif

// -------------------------------------------------------------------------------------------------

OneDnnProblem::OneDnnProblem(dnnl::engine& engine, dnnl::primitive primitive,
                             size_t scratchpad_bytes, const std::vector<Operand>& operands)
    : primitive_(std::move(primitive)) {
  for (const Operand& operand : operands) {
    Slot slot;
    slot.outside = memory(operand.outside, engine, nullptr);
    slot.inside = slot.outside;
    slot.output = operand.output;
    slot.offset = scratch_bytes_;
    if (operand.inside != operand.outside) {
      slot.inside = memory(operand.inside, engine, nullptr);
      slot.reorder = operand.output ? dnnl::reorder(slot.inside, slot.outside)
                                    : dnnl::reorder(slot.outside, slot.inside);
      scratch_bytes_ += aligned(operand.inside.get_size());
    }
    arguments_[operand.argument] = slot.inside;
    slots_.push_back(std::move(slot));
  }
  scratchpad_offset_ = scratch_bytes_;
  scratch_bytes_ += aligned(scratchpad_bytes);
  const memory::desc bytes({static_cast<memory::dim>(scratchpad_bytes)}, memory::data_type::u8,
                           memory::format_tag::a);
  scratchpad_ = memory(bytes, engine, nullptr);
  arguments_[DNNL_ARG_SCRATCHPAD] = scratchpad_;
}

void OneDnnProblem::run(OneDnn& onednn, KernelContext& context, std::span<void* const> addresses) {
  LACUNA_CHECK(addresses.size() == slots_.size());
  onednn.use_threads();
  std::byte* scratch = static_cast<std::byte*>(context.scratch(scratch_bytes_));
  scratchpad_.set_data_handle(scratch + scratchpad_offset_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.outside.set_data_handle(addresses[i]);
    if (!slot.reorder) continue;
    slot.inside.set_data_handle(scratch + slot.offset);
    if (!slot.output) slot.reorder.execute(onednn.stream(), slot.outside, slot.inside);
  }
  primitive_.execute(onednn.stream(), arguments_);
  for (Slot& slot : slots_) {
    if (slot.reorder && slot.output) {
      slot.reorder.execute(onednn.stream(), slot.inside, slot.outside);
    }
  }
  onednn.stream().wait();
}

OneDnn::OneDnn(int threads)
    : threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

void OneDnn::use_threads() const { omp_set_num_threads(threads_); }

OneDnnProblem& OneDnn::problem(const std::string& key,
                               const std::function<std::unique_ptr<OneDnnProblem>()>& make) {
  std::unique_ptr<OneDnnProblem>& problem = problems_[key];
  if (!problem) {
    use_threads();  // oneDNN splits the work when it makes a primitive
    problem = make();
  }
  return *problem;
}

memory::data_type onednn_type(DType dtype) {
  LACUNA_CHECK(dtype == DType::f32 || dtype == DType::bf16, name_of(dtype));
  return dtype == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
}

#if defined(__x86_64__)
static bool has_isa(dnnl::cpu_isa isa) {  // the values are sets of bits
  const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (effective & static_cast<unsigned>(isa)) == static_cast<unsigned>(isa);
}
bool onednn_has_bf16() { return has_isa(dnnl::cpu_isa::avx512_core); }
#else
bool onednn_has_bf16() { return false; }
#endif

}  // namespace lacuna
