// The threads of a CUDA grid, on the host: what a kernel means, not how fast it is. Threads of a
// block are fibres on one system thread. Each runs until it must wait for others, and which runs
// next is drawn at random, so that a missing barrier gives wrong results; a block that can never go
// on is an error. Section numbers are those of NVIDIA's CUDA C++ Programming Guide 12.4, chapter 7.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  dim3(unsigned of_x, unsigned of_y = 1, unsigned of_z = 1) : x(of_x), y(of_y), z(of_z) {}
};

// 7.4: the built-in variables, as the thread that runs now sees them.
inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;

namespace simt {

// A rule of CUDA that a kernel broke.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where in the source a thread waits; made by default arguments, at the caller's place.
struct Place {
  const char* file = "";
  int line = 0;
  static constexpr Place current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// Seed of the order in which threads run, for all grids from here on.
void set_seed(uint64_t seed);

// Runs `thread` once for every thread of the grid. Throws Violation.
void run_grid(const dim3& blocks, const dim3& threads, const std::function<void()>& thread);

// 7.6: waits for all threads of the block that have not ended. Here all must wait at one place.
void barrier(const Place& place);

// 7.22: gives `value`, and returns that of lane `source` of the warp; waits for all lanes of
// `mask`, which must be there at the same place with the same mask. Reading from a lane outside of
// the mask gives what no computation gives.
uint64_t exchange(unsigned mask, uint64_t value, unsigned source, const Place& place);

unsigned lane();

template <typename T>
T exchange_value(unsigned mask, T value, unsigned source, const Place& place) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, source, place);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace simt
