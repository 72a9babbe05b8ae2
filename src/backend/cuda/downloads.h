// Copies to pinned memory of the host, in the order of kernels, while the host goes on. The kernels
// wait for them: a gigabyte of State takes some 20 ms at PCIe 5's 50 GB/s, a checkpoint, where
// another copy on the device would cost that gigabyte for good.
#pragma once

#include "backend/cuda/runtime.h"
#include "backend/device.h"

namespace lacuna {

class CudaDownloads final : public Downloads {
 public:
  CudaDownloads(int device, const cuda::Stream& kernels) : device_(device), kernels_(kernels) {}
  ~CudaDownloads() override;
  void* memory(size_t bytes) override;
  void fetch(void* to, const void* device, size_t bytes) override;
  void wait() override;

 private:
  int device_;
  const cuda::Stream& kernels_;
  cuda::PinnedMemory memory_;
  cuda::Event arrived_;
};

}  // namespace lacuna
