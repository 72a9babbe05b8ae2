// The host's meaning of a CUDA grid: that it gives kernels what CUDA promises, and catches what
// CUDA does not. Kernels here are small, right ones and ones with a planted fault.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

namespace {

constexpr unsigned all_lanes = 0xffffffffu;

// sum of x[0 .. threads) of each block, by halving; `fault` leaves a barrier out.
template <bool fault>
__global__ void tree_sum(const int* x, int* sums) {
  __shared__ int partial[256];
  const unsigned i = threadIdx.x;
  partial[i] = x[blockIdx.x * blockDim.x + i];
  if (!fault) __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (i < half) partial[i] += partial[i + half];
    __syncthreads();
  }
  if (i == 0) sums[blockIdx.x] = partial[0];
}

__global__ void warp_sum(const double* x, double* sums) {
  double sum = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int with = 16; with > 0; with /= 2) sum += __shfl_xor_sync(all_lanes, sum, with);
  if (threadIdx.x % 32 == 0) sums[(blockIdx.x * blockDim.x + threadIdx.x) / 32] = sum;
}

// Lanes of the upper half take part, but are not in the mask that the lower half names.
__global__ void half_a_mask(double* y) {
  double value = 1;
  const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : all_lanes;
  for (int with = 16; with > 0; with /= 2) value += __shfl_xor_sync(mask, value, with);
  y[threadIdx.x] = value;
}

__global__ void reads_outside_of_its_mask(double* y) {
  if (threadIdx.x >= 16) return;
  y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, 1.0, 16);
}

__global__ void barrier_in_a_branch(int* y) {
  if (threadIdx.x < 8) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}

__global__ void waits_for_ended_lanes(double* y) {
  if (threadIdx.x == 3) return;
  y[threadIdx.x] = __shfl_xor_sync(all_lanes, 1.0, 1);
}

__global__ void waits_for_lanes_at_a_barrier(double* y) {
  if (threadIdx.x < 16) __syncthreads();
  y[threadIdx.x] = __shfl_xor_sync(all_lanes, 1.0, 1);
}

template <typename... P, typename... A>
void run(unsigned blocks, unsigned threads, void (*kernel)(P...), A... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, arguments...);
  REQUIRE(error == cudaSuccess);
}

std::vector<int> sums_of(void (*kernel)(const int*, int*), const std::vector<int>& x,
                         unsigned blocks) {
  std::vector<int> sums(blocks);
  run(blocks, static_cast<unsigned>(x.size()) / blocks, kernel, x.data(), sums.data());
  return sums;
}

}  // namespace

TEST_CASE("cuda threads of a block meet at barriers, in any order") {
  std::vector<int> x(3 * 256);
  std::iota(x.begin(), x.end(), 1);
  std::vector<int> expected;
  for (int block = 0; block < 3; ++block)
    expected.push_back(std::accumulate(x.begin() + block * 256, x.begin() + (block + 1) * 256, 0));
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    simt::set_seed(seed);
    CHECK(sums_of(tree_sum<false>, x, 3) == expected);
  }
}

TEST_CASE("cuda: a barrier that is left out gives wrong sums", "[fault]") {
  int wrong = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    simt::set_seed(static_cast<uint64_t>(seed));
    const std::vector<int> x(256, seed);
    if (sums_of(tree_sum<true>, x, 1) != std::vector<int>{256 * seed}) ++wrong;
  }
  CHECK(wrong == 20);
}

TEST_CASE("cuda lanes of a warp exchange values") {
  std::vector<double> x(2 * 64);
  std::iota(x.begin(), x.end(), 1.0);
  std::vector<double> sums(4);
  run(2, 64, warp_sum, x.data(), sums.data());
  for (size_t warp = 0; warp < 4; ++warp)
    CHECK(sums[warp] == std::accumulate(x.begin() + 32 * warp, x.begin() + 32 * (warp + 1), 0.0));
}

TEST_CASE("cuda: what lanes do against the rules is caught", "[fault]") {
  std::vector<double> y(32);
  CHECK_THROWS_WITH(run(1, 32, half_a_mask, y.data()), Catch::Contains("different masks"));
  CHECK_THROWS_WITH(run(1, 32, waits_for_ended_lanes, y.data()), Catch::Contains("has ended"));
  CHECK_THROWS_WITH(run(1, 32, waits_for_lanes_at_a_barrier, y.data()),
                    Catch::Contains("for ever"));
  run(1, 32, reads_outside_of_its_mask, y.data());
  CHECK(y[0] != y[0]);
}

TEST_CASE("cuda: barriers at different places are caught", "[fault]") {
  std::vector<int> y(32);
  CHECK_THROWS_WITH(run(1, 32, barrier_in_a_branch, y.data()),
                    Catch::Contains("different barriers"));
}

TEST_CASE("cuda: a grid that the hardware does not take is caught", "[fault]") {
  std::vector<double> y(32);
  CHECK_THROWS_AS(run(1, 2048, half_a_mask, y.data()), simt::Violation);
  CHECK_THROWS_AS(run(0, 32, half_a_mask, y.data()), simt::Violation);
}
