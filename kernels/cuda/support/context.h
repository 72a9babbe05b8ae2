// What the CUDA device lends its kernels.
#pragma once

#include <cuda_runtime.h>

#include "kernels/kernel.h"

namespace lacuna {

class Cudnn;  // kernels/cuda/support/cudnn.h

class CudaContext : public KernelContext {
 public:
  // Where kernels of the step are launched.
  virtual cudaStream_t stream() = 0;
  // false where there is no device: a launch does nothing, and only what it would need is found
  // out.
  virtual bool starts_kernels() const { return true; }
  // How many blocks fill the device a few times over: more than that only adds to what a loop over
  // the grid does anyway, and to the partial sums of reductions.
  virtual int64_t blocks() const = 0;
  // The library and its plans, on the same stream.
  virtual Cudnn& cudnn() = 0;
};

}  // namespace lacuna
