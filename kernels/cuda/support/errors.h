// What calls of CUDA's runtime give back.
#pragma once

#include <cuda_runtime.h>

namespace lacuna::cuda {

// A failed call is a lost device or a defect of ours: an Error that says what was being done ("the
// kernel of relu", "taking memory").
void check(cudaError_t error, const char* doing);

}  // namespace lacuna::cuda
