// What the GPU at hand can do at most, for fractions of it: copies within its memory, and square
// products of cuBLAS in bf16 and in f32 without TF32. Three lines "name value", in GB/s (read and
// written) and TFLOP/s.
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

namespace {

void check(bool good, const char* doing) {
  if (good) return;
  std::fprintf(stderr, "gpu-ceilings: %s failed: %s\n", doing,
               cudaGetErrorString(cudaGetLastError()));
  std::exit(1);
}

// Seconds of one run: the median over a second, in which clocks settle.
double seconds(const std::function<void()>& run) {
  cudaEvent_t from, to;
  check(cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess, "an event");
  std::vector<double> found;
  for (double spent = 0; spent < 1;) {
    cudaEventRecord(from);
    run();
    cudaEventRecord(to);
    check(cudaEventSynchronize(to) == cudaSuccess, "a run");
    float ms = 0;
    cudaEventElapsedTime(&ms, from, to);
    found.push_back(1e-3 * static_cast<double>(ms));
    spent += found.back();
  }
  std::nth_element(found.begin(), found.begin() + static_cast<long>(found.size() / 2), found.end());
  return found[found.size() / 2];
}

void* memory(size_t bytes) {
  void* at = nullptr;
  check(cudaMalloc(&at, bytes) == cudaSuccess, "taking memory");
  // Bits that differ take more power than zeros, and clocks follow it: numbers of about 1 as bf16
  // and as f32.
  std::vector<uint16_t> bits(bytes / 2);
  uint32_t state = 1;
  for (uint16_t& each : bits) {
    state = state * 1664525u + 1013904223u;
    each = static_cast<uint16_t>(0x3f00u | (state >> 24 & 0x80ffu));
  }
  check(cudaMemcpy(at, bits.data(), bytes, cudaMemcpyHostToDevice) == cudaSuccess,
        "filling memory");
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
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // whoever cuts it off keeps what was found
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
