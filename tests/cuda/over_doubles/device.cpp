// The CUDA device over the doubles, as an H100.
#include "backend/boards.h"
#include "backend/cuda/cuda_device.h"
#include "cuda/device/support.h"

namespace lacuna::testing {

std::unique_ptr<Device> cuda_device(int rank, bool tf32) {
  return std::make_unique<CudaDevice>(GpuOptions{
      .local_rank = rank, .tf32 = tf32, .board = std::string(find_board("h100")->properties)});
}

int gpus() { return 8; }

}  // namespace lacuna::testing
