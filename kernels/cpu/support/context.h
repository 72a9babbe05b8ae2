// What the CPU device lends its kernels.
#pragma once

#include <memory>

#include "kernels/convolution.h"
#include "kernels/kernel.h"

namespace lacuna {

class OneDnn;  // kernels/cpu/support/onednn.h: engine, stream, cache of primitives

class CpuContext : public KernelContext {
 public:
  // Compute threads of this rank; parallel loops use exactly so many (OpenMP, the team that oneDNN
  // uses too: a second team would spin against it).
  virtual int threads() const = 0;
  virtual OneDnn& onednn() = 0;
  virtual ConvolutionMethods convolution_methods() const = 0;
  // As scratch, and not the same memory: for kernels that run others, which use scratch, inside.
  virtual void* workspace(size_t bytes) = 0;
};

}  // namespace lacuna
