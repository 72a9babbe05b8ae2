// Blocks of the host's memory that a copy stream sends ahead of the kernels that read them.
#pragma once

#include <array>

#include "backend/cuda/runtime.h"
#include "backend/device.h"

namespace lacuna {

// Two blocks take turns: while kernels read one, the next is filled and sent. Nothing is allocated
// once both have their size.
class CudaUploads final : public Uploads {
 public:
  CudaUploads(Device& device, const cuda::Stream& kernels, const cuda::Stream& copies)
      : device_(device), kernels_(kernels), copies_(copies) {}
  ~CudaUploads() override;
  void* fill(size_t bytes) override;
  void* send() override;

 private:
  struct Block {
    cuda::PinnedMemory host;
    DeviceMemory device;
    size_t bytes = 0;
    cuda::Event sent;
    cuda::Event read;  // kernels that read it have been reached
  };
  Block& next() { return blocks_[sends_ % 2]; }
  Block& last() { return blocks_[(sends_ + 1) % 2]; }

  Device& device_;
  const cuda::Stream& kernels_;
  const cuda::Stream& copies_;
  std::array<Block, 2> blocks_;
  size_t sends_ = 0;
};

}  // namespace lacuna
