#include "kernels/cuda/launch.h"

namespace lacuna::cuda {

void launch_failed(const char* operation, cudaError_t error) {
  throw Error(ExitStatus::failed, concat("the GPU did not take the kernel of ", operation, ": ",
                                         cudaGetErrorString(error),
                                         "; look at the system's log for errors of the device"));
}

}  // namespace lacuna::cuda
