// What the GPU at hand can do at most, for fractions of it: copies within its memory, and square products of cuBLAS in
// bf16 and in f32 without TF32. Three lines "name value", in GB/s (read and written) and TFLOP/s.
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

namespace {

void check(bool good, const char* doing) {
  if (good) return;
  std::fprintf(stderr, "gpu-ceilings: %s failed: %s\n", doing,
               cudaGetErrorString(cudaGetLastError()));
  std::exit(1);
}

// Seconds of one run, the least of ten.
double seconds(const std::function<void()>& run) {
  cudaEvent_t from, to;
  check(cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess, "an event");
  run();
  double least = 1e9;
  for (int i = 0; i < 10; ++i) {
    cudaEventRecord(from);
    run();
    cudaEventRecord(to);
    check(cudaEventSynchronize(to) == cudaSuccess, "a run");
    float ms = 0;
    cudaEventElapsedTime(&ms, from, to);
    least = std::min(least, 1e-3 * static_cast<double>(ms));
  }
  return least;
}

void* memory(size_t bytes) {
  void* at = nullptr;
  check(cudaMalloc(&at, bytes) == cudaSuccess, "taking memory");
  check(cudaMemset(at, 0, bytes) == cudaSuccess, "clearing memory");
  return at;
}

double product_tflops(cublasHandle_t blas, cudaDataType type, size_t element, int n) {
  void* a = memory(element * static_cast<size_t>(n) * static_cast<size_t>(n));
  void* b = memory(element * static_cast<size_t>(n) * static_cast<size_t>(n));
  void* c = memory(element * static_cast<size_t>(n) * static_cast<size_t>(n));
  const float one = 1, zero = 0;
  const double time = seconds([&] {
    check(
        cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, a, type, n, b, type, n, &zero,
                     c, type, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS,
        "a product");
  });
  cudaFree(a);
  cudaFree(b);
  cudaFree(c);
  return 2e-12 * n * n * n / time;
}

}  // namespace

int main() {
  constexpr size_t bytes = size_t{1} << 30;
  void* from = memory(bytes);
  void* to = memory(bytes);
  const double copy = seconds([&] { cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice); });
  std::printf("copy %.0f\n", 2e-9 * static_cast<double>(bytes) / copy);
  cublasHandle_t blas = nullptr;
  check(cublasCreate(&blas) == CUBLAS_STATUS_SUCCESS, "starting cuBLAS");
  std::printf("bf16 %.0f\n", product_tflops(blas, CUDA_R_16BF, 2, 8192));
  std::printf("f32 %.0f\n", product_tflops(blas, CUDA_R_32F, 4, 4096));
  return 0;
}
