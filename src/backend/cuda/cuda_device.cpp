#include "backend/cuda/cuda_device.h"

#include <array>
#include <chrono>
#include <thread>

#include "backend/cuda/downloads.h"
#include "backend/cuda/stopwatch.h"
#include "backend/cuda/uploads.h"
#include "base/random.h"
#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/cudnn.h"
#include "kernels/cuda/support/table.h"

namespace lacuna {

namespace {

// Makes it the calling thread's device: its streams are made on it.
int choose(int local_rank) {
  int count = 0;
  cuda::check(cudaGetDeviceCount(&count), "counting devices");
  const int number = local_rank % count;
  cuda::check(cudaSetDevice(number), "choosing a device");
  return number;
}

int attribute(cudaDeviceAttr which, int number) {
  int value = 0;
  cuda::check(cudaDeviceGetAttribute(&value, which, number), "asking for the device's properties");
  return value;
}

std::string gigabytes(size_t bytes) {
  return concat((bytes + 50'000'000) / 100'000'000 / 10, ".",
                (bytes + 50'000'000) / 100'000'000 % 10, " GB");
}

[[noreturn]] void out_of_memory(size_t wanted) {
  size_t free = 0;
  size_t total = 0;
  cudaMemGetInfo(&free, &total);
  bad_input("the GPU has ", gigabytes(free), " of its ", gigabytes(total), " left, and ",
            gigabytes(wanted),
            " more are needed: use a smaller train.batch, a larger train.accumulate, ",
            "or a GPU that nobody else uses");
}

}  // namespace

class CudaDevice::Context final : public CudaContext {
 public:
  Context(CudaDevice& device, const GpuOptions& options)
      : device_(device),
        multiprocessors_(attribute(cudaDevAttrMultiProcessorCount, device.number_)),
        cudnn_(device.stream_.get(), {.device = device.number_,
                                      .deterministic = options.deterministic,
                                      .tf32 = options.tf32,
                                      .engines = options.engines,
                                      .time_plans = options.time_plans,
                                      .board = options.board,
                                      .plans_only = false}) {}
  // Kernels that use it follow each other on one stream, so one block serves them all.
  void* scratch(size_t bytes) override {
    if (bytes <= scratch_.bytes()) return scratch_.data();
    scratch_ = DeviceMemory();
    scratch_ = DeviceMemory(device_, bytes);
    ++growths_;
    return scratch_.data();
  }
  // How often scratch has moved: what was recorded before uses memory that is gone.
  int growths() const { return growths_; }
  cudaStream_t stream() override { return device_.stream_.get(); }
  int64_t blocks() const override { return int64_t{8} * multiprocessors_; }
  Cudnn& cudnn() override { return cudnn_; }

 private:
  CudaDevice& device_;
  int multiprocessors_;
  DeviceMemory scratch_;
  int growths_ = 0;
  Cudnn cudnn_;
};

CudaDevice::CudaDevice(const GpuOptions& options)
    : number_(choose(options.local_rank)),
      captures_(options.capture),
      context_(std::make_unique<Context>(*this, options)) {}

// "cuda device (NVIDIA H100 80GB HBM3, cuDNN 9.19.0)"
std::string CudaDevice::description() const {
  cudaDeviceProp properties;
  cuda::check(cudaGetDeviceProperties(&properties, number_), "asking for the device's name");
  const size_t version = Cudnn::version();
  const auto& engines = context_->cudnn().options().engines;
  uint64_t hash = hash_name("");
  for (const auto& [problem, engine] : engines) hash = hash_name(concat(hash, problem, engine));
  return concat("cuda device (", properties.name, ", cuDNN ", version / 10000, ".",
                version / 100 % 100, ".", version % 100,
                engines.empty() ? "" : concat(", plans ", std::hex, hash), ")");
}

// "0000:3B:00.0" on the bus.
std::string CudaDevice::address() const {
  std::array<char, 24> bus{};
  cuda::check(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), number_),
              "asking for the GPU's address");
  return bus.data();
}

CudaDevice::~CudaDevice() { context_.reset(); }

void* CudaDevice::allocate(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) out_of_memory(bytes);
  cuda::check(error, "taking memory");
  cuda::check(cudaMemsetAsync(memory, 0, bytes, stream_.get()), "clearing memory");
  return memory;
}

// What is on the stream may still use it.
void CudaDevice::release(void* memory) {
  if (cuda::is_failing()) return;
  cudaStreamSynchronize(stream_.get());
  cudaFree(memory);
}

// From pageable memory the call returns when the bytes have been staged, to it when they have
// arrived (CUDA Runtime API, "API synchronization behavior").
void CudaDevice::copy_in(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return;
  cuda::check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_.get()),
              "copying to the device");
}

void CudaDevice::copy_out(void* host, const void* device, size_t bytes) {
  if (bytes > 0) {
    wait_for_kernels();  // the copy to pageable memory would wait by itself
    cuda::check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_.get()),
                "copying from the device");
  }
  wait_for_kernels();
}

// Where the host waits for the device, it looks whether collectives still have all their ranks.
void CudaDevice::wait_for_kernels() {
  using Clock = std::chrono::steady_clock;
  if (communicators_.empty()) return stream_.wait();
  const auto start = Clock::now();
  while (!stream_.is_idle()) {
    const std::chrono::duration<double> waited = Clock::now() - start;
    for (const auto& [host, communicator] : communicators_) {
      if (communicator != nullptr) communicator->look_after(waited.count());
    }
    if (waited.count() > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

// A captured step: one launch instead of hundreds.
class CudaDevice::Graph final : public Replay {
 public:
  Graph(CudaDevice& device, const std::function<void()>& work)
      : device_(device), growths_(device.context_->growths()) {
    const cudaStream_t stream = device_.stream_.get();
    cuda::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                "recording a step");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      cudaGraphDestroy(graph);
      throw;
    }
    cuda::check(cudaStreamEndCapture(stream, &graph),
                "recording a step (train.recording = false goes without)");
    const cudaError_t error = cudaGraphInstantiate(&step_, graph, 0);
    cudaGraphDestroy(graph);
    cuda::check(error, "preparing a recorded step (train.recording = false goes without)");
  }
  ~Graph() override {
    if (!cuda::is_failing()) cudaGraphExecDestroy(step_);
  }
  bool is_valid() const override { return growths_ == device_.context_->growths(); }
  void run() override {
    cuda::check(cudaGraphLaunch(step_, device_.stream_.get()), "starting a recorded step");
  }

 private:
  CudaDevice& device_;
  int growths_;
  cudaGraphExec_t step_ = nullptr;
};

std::unique_ptr<Replay> CudaDevice::capture(const std::function<void()>& work) {
  if (!captures_) return nullptr;
  return std::make_unique<Graph>(*this, work);
}

Communicator* CudaDevice::communicator(Communicator& host) {
  const auto known = communicators_.find(&host);
  if (known != communicators_.end()) return known->second.get();
  return communicators_.emplace(&host, nccl_communicator(host, stream_, collectives_))
      .first->second.get();
}

std::unique_ptr<Uploads> CudaDevice::make_uploads() {
  return std::make_unique<CudaUploads>(*this, stream_, copies_);
}

std::unique_ptr<Downloads> CudaDevice::make_downloads() {
  return std::make_unique<CudaDownloads>(number_, stream_);
}

std::unique_ptr<Stopwatch> CudaDevice::make_stopwatch() {
  return std::make_unique<CudaStopwatch>(stream_);
}

Kernel CudaDevice::find(std::string_view operation, DType dtype) const {
  return find_cuda_kernel(operation, dtype);
}

KernelContext& CudaDevice::context() { return *context_; }

std::vector<LibraryPlan> CudaDevice::library_plans() const { return plans_of(context_->cudnn()); }

std::vector<LibraryPlan> plans_of(const Cudnn& cudnn) {
  std::vector<LibraryPlan> all;
  for (const CudnnPlan& plan : cudnn.plans())
    all.push_back({plan.problem, plan.engine, plan.workspace, plan.candidates});
  return all;
}

}  // namespace lacuna
