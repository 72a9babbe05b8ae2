#include "backend/cuda/module.h"

#include <cuda_runtime.h>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/cuda_dry_run_device.h"

extern "C" const int lacuna_cuda_version = CUDART_VERSION;

extern "C" lacuna::Device* lacuna_make_cuda_device(const lacuna::GpuOptions& options) {
  return new lacuna::CudaDevice(options);
}

extern "C" lacuna::DryRunDevice* lacuna_make_dry_run_device(const lacuna::GpuOptions& options) {
  return new lacuna::CudaDryRunDevice(options);
}
