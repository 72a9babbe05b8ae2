// The CUDA device: kernels/cuda and cuDNN on one GPU, f32 parameters. Kernels run on a stream of
// their own, after the host has gone on; what the host sends ahead of them travels on another.
#pragma once

#include <map>
#include <memory>

#include "backend/cuda/nccl_communicator.h"
#include "backend/cuda/runtime.h"
#include "backend/device.h"

namespace lacuna {

class Cudnn;  // kernels/cuda/support/cudnn.h

class CudaDevice final : public Device {
 public:
  // Of the devices that this process sees (CUDA_VISIBLE_DEVICES), number local_rank modulo their
  // count.
  explicit CudaDevice(const GpuOptions& options);
  ~CudaDevice() override;

  std::string_view name() const override { return "cuda"; }
  std::string description() const override;
  std::string address() const override;
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  // In the order of kernels. The host's memory is its own again when they return.
  void copy_in(void* device, const void* host, size_t bytes) override;
  void copy_out(void* host, const void* device, size_t bytes) override;
  bool reads_host_memory() const override { return false; }
  std::unique_ptr<Uploads> make_uploads() override;
  std::unique_ptr<Downloads> make_downloads() override;
  std::unique_ptr<Stopwatch> make_stopwatch() override;
  std::unique_ptr<Replay> capture(const std::function<void()>& work) override;
  Communicator* communicator(Communicator& host) override;
  Kernel find(std::string_view operation, DType dtype) const override;
  KernelContext& context() override;
  std::vector<LibraryPlan> library_plans() const override;
  DType parameter_dtype() const override { return DType::f32; }
  Bf16 bf16(Isa) const override { return Bf16::faster; }

 private:
  class Context;
  class Graph;
  void wait_for_kernels();
  int number_;
  bool captures_;
  cuda::Stream stream_;  // of kernels
  cuda::Stream copies_;
  cuda::Stream collectives_;
  std::map<Communicator*, std::unique_ptr<NcclCommunicator>> communicators_;
  std::unique_ptr<Context> context_;
};

// The library's plans as every device tells them.
std::vector<LibraryPlan> plans_of(const Cudnn& cudnn);

}  // namespace lacuna
