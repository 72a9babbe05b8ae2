// oneDNN: the engine, the stream and the cache of primitives of one CPU device. The only header of
// Lacuna that includes oneDNN's; written for 2.6 and 3.x, whose difference lies in onednn.cpp.
#pragma once

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <oneapi/dnnl/dnnl.hpp>
#else
#include <dnnl.hpp>
#endif

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/cpu/support/context.h"

namespace lacuna {

// A primitive between operands that lie as the caller has them. Where the primitive wants another
// layout or type (weights, mostly), the operand is reordered before or after; the copies and the
// primitive's own scratchpad lie in the context's scratch.
class OneDnnProblem {
 public:
  struct Operand {
    int argument;                // DNNL_ARG_...
    dnnl::memory::desc outside;  // as the caller has it
    dnnl::memory::desc inside;   // as the primitive wants it
    bool output = false;
  };
  OneDnnProblem(dnnl::engine& engine, dnnl::primitive primitive, size_t scratchpad_bytes,
                const std::vector<Operand>& operands);

  // `addresses` in the order of the operands.
  void run(OneDnn& onednn, KernelContext& context, std::span<void* const> addresses);

 private:
  struct Slot {
    dnnl::memory outside, inside;
    dnnl::reorder reorder;  // empty: both are the same
    bool output;
    size_t offset;
  };
  dnnl::primitive primitive_;
  std::vector<Slot> slots_;
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::memory scratchpad_;
  size_t scratchpad_offset_ = 0;
  size_t scratch_bytes_ = 0;
};

// Operands of the three kinds of a convolution (a gradient is described as what it is the gradient
// of); a layout of `any` is chosen by the primitive.
struct OneDnnConvolution {
  dnnl::memory::desc source, weights, bias, destination;  // bias: empty if there is none
  dnnl::memory::desc weight_gradient;
  dnnl::memory::dims strides, padding, dilation;  // dilation: 0 for neighbours
};

class OneDnn {
 public:
  // Primitives are made for `threads` threads and run with as many, whichever thread calls.
  explicit OneDnn(int threads);

  dnnl::engine& engine() { return engine_; }
  dnnl::stream& stream() { return stream_; }

  // The problem of this key, made at its first use.
  OneDnnProblem& problem(const std::string& key,
                         const std::function<std::unique_ptr<OneDnnProblem>()>& make);
  // Lets the calling thread's parallel regions have this device's number of threads.
  void use_threads() const;

  dnnl::convolution_forward::primitive_desc forward(const OneDnnConvolution& c);
  dnnl::convolution_backward_data::primitive_desc data_gradient(const OneDnnConvolution& c);
  dnnl::convolution_backward_weights::primitive_desc weight_gradient(const OneDnnConvolution& c);
  dnnl::matmul::primitive_desc product(const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                       const dnnl::memory::desc& bias, const dnnl::memory::desc& y);

 private:
  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::unordered_map<std::string, std::unique_ptr<OneDnnProblem>> problems_;
};

dnnl::memory::data_type onednn_type(DType dtype);

// Whether oneDNN computes in bfloat16 on this processor (any with AVX-512, fast or not).
bool onednn_has_bf16();

}  // namespace lacuna
