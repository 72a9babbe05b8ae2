// The CUDA device on the GPUs of this machine: tools/gpu-check runs these tests where there is one.
#include <cuda_runtime.h>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/runtime.h"
#include "cuda/device/support.h"

namespace lacuna::testing {

namespace {

// Ranks that share a GPU have no collectives of NCCL's.
class SharedGpu final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  Communicator* communicator(Communicator& host) override {
    return host.size() > gpus() ? nullptr : ForwardingDevice::communicator(host);
  }
};

}  // namespace

std::unique_ptr<Device> cuda_device(int rank, bool tf32) {
  return std::make_unique<SharedGpu>(
      std::make_unique<CudaDevice>(GpuOptions{.local_rank = rank, .tf32 = tf32}));
}

int gpus() {
  int count = 0;
  cuda::check(cudaGetDeviceCount(&count), "counting devices");
  return count;
}

}  // namespace lacuna::testing
