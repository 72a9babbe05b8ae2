#include "kernels/cuda/support/errors.h"

#include "base/error.h"

namespace lacuna::cuda {

void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  throw Error(ExitStatus::failed,
              concat("the GPU failed at ", doing, ": ", cudaGetErrorString(error),
                     "; look at the system's log for errors of the device"));
}

}  // namespace lacuna::cuda
