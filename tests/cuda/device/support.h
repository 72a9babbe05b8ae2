// The CUDA device over the doubles, as an H100.
#pragma once

#include "backend/boards.h"
#include "backend/cuda/cuda_device.h"

namespace lacuna::testing {

inline std::unique_ptr<Device> cuda_device(int rank = 0, bool tf32 = false) {
  return std::make_unique<CudaDevice>(GpuOptions{
      .local_rank = rank, .tf32 = tf32, .board = std::string(find_board("h100")->properties)});
}

}  // namespace lacuna::testing
