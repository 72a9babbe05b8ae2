#include "backend/cuda/downloads.h"

namespace lacuna {

CudaDownloads::~CudaDownloads() { arrived_.drain(); }

void* CudaDownloads::memory(size_t bytes) {
  arrived_.wait();
  if (bytes > memory_.bytes()) {
    memory_ = cuda::PinnedMemory();
    memory_ = cuda::PinnedMemory(bytes);
  }
  return memory_.data();
}

void CudaDownloads::fetch(void* to, const void* device, size_t bytes) {
  if (bytes == 0) return;
  cuda::check(cudaMemcpyAsync(to, device, bytes, cudaMemcpyDeviceToHost, kernels_.get()),
              "copying from the device");
  arrived_.record(kernels_);
}

// A thread that has chosen no device would take the first one, and memory on it.
void CudaDownloads::wait() {
  cuda::check(cudaSetDevice(device_), "choosing a device");
  arrived_.wait();
}

}  // namespace lacuna
