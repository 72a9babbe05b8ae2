#include "backend/cuda/uploads.h"

namespace lacuna {

CudaUploads::~CudaUploads() { copies_.drain(); }

void* CudaUploads::fill(size_t bytes) {
  Block& block = next();
  block.sent.wait();  // its last transfer still reads it
  if (bytes > block.host.bytes()) {
    block.host = cuda::PinnedMemory(bytes);
    kernels_.wait();
    block.device = DeviceMemory();
    block.device = DeviceMemory(device_, bytes);
    kernels_.wait();  // it is cleared on their stream
  }
  block.bytes = bytes;
  return block.host.data();
}

void* CudaUploads::send() {
  Block& block = next();
  last().read.record(kernels_);  // all that read the block before is on the stream by now
  block.read.hold(copies_);
  if (block.bytes > 0) {
    cuda::check(cudaMemcpyAsync(block.device.data(), block.host.data(), block.bytes,
                                cudaMemcpyHostToDevice, copies_.get()),
                "sending to the device");
  }
  block.sent.record(copies_);
  block.sent.hold(kernels_);
  ++sends_;
  return block.device.data();
}

}  // namespace lacuna
