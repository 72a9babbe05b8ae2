// Kernels over rows of channels [.., C]: which thread has which channels, and sums over rows.
#pragma once

#include <bit>

#include "kernels/cuda/support/launch.h"
#include "kernels/double_double.h"

namespace lacuna::cuda {

// A block has a tile of `across` groups of channels, one group to a thread, and as many rows at a
// time as its threads have room for; its threads keep their channels from row to row, and what is
// to be known of them stays in registers. Neighbouring threads have neighbouring channels.
struct Columns {
  int64_t channels;
  int width;   // channels of a group: those of a 16-byte pack, or 1 where C is no multiple of it
  int across;  // a power of two, at most 32

  Columns(int64_t of_channels, int of_width)
      : channels(of_channels),
        width(of_width),
        across(static_cast<int>(std::bit_ceil(
            static_cast<uint64_t>(std::clamp<int64_t>(of_channels / of_width, 1, 32))))) {}

  static constexpr int most_channels = 32 * 8;  // of a tile
  int64_t tiles() const { return (channels + across * width - 1) / (across * width); }

  __host__ __device__ int down() const { return block_size / across; }  // rows at a time
  __device__ int64_t tile_begin() const {
    return static_cast<int64_t>(blockIdx.x) * across * width;
  }
  __device__ int column() const { return static_cast<int>(threadIdx.x) % across; }
  __device__ int64_t channel() const { return tile_begin() + column() * width; }
  __device__ int lane() const { return static_cast<int>(threadIdx.x) / across; }
  // Rows of the grid: begin, begin + step, …
  __device__ int64_t first_row() const {
    return static_cast<int64_t>(blockIdx.y) * down() + lane();
  }
  __device__ int64_t row_step() const { return static_cast<int64_t>(gridDim.y) * down(); }
};

// Calls f(T{}, width) with the CUDA type of a dtype and, as a constant, the channels that a thread
// takes at once, at most `most`: 1 where C is no multiple, or an operand does not begin where a
// pack can.
template <int most = 8, typename F>
void with_width(const Call& call, DType dtype, int64_t channels, F f) {
  with_float(dtype, [&](auto type) {
    using T = decltype(type);
    constexpr int width = std::min(most, Pack<T>::size);
    if (channels % width == 0 && takes_packs(call)) {
      f(type, std::integral_constant<int, width>());
    } else {
      f(type, std::integral_constant<int, 1>());
    }
  });
}

template <typename T, int width>
struct alignas(width * sizeof(T)) Group {
  T values[width];
};
template <int width, typename T>
__device__ void load_group(const T* from, float (&x)[width]) {
  const auto group = *reinterpret_cast<const Group<T, width>*>(from);
  for (int e = 0; e < width; ++e) x[e] = to_float(group.values[e]);
}
template <int width, typename T>
__device__ void store_group(const float (&x)[width], T* to) {
  Group<T, width> group;
  for (int e = 0; e < width; ++e) group.values[e] = from_float<T>(x[e]);
  *reinterpret_cast<Group<T, width>*>(to) = group;
}

// How many blocks share the rows, beside those that share the channels.
inline int64_t row_blocks(const Call& call, const Columns& columns, int64_t rows) {
  const int64_t needed = (rows + columns.down() - 1) / columns.down();
  return std::clamp<int64_t>(context_of(call).blocks() / columns.tiles(), 1,
                             std::max<int64_t>(needed, 1));
}

// One thread for each group of channels and each of `rows`, but no more blocks than fill the
// device.
template <typename... Parameters, typename... Arguments>
void launch_columns(const Call& call, const char* operation, const Columns& columns, int64_t rows,
                    void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (rows == 0 || columns.channels == 0) return;
  launch_grid(call, operation,
              dim3(static_cast<unsigned>(columns.tiles()),
                   static_cast<unsigned>(row_blocks(call, columns, rows))),
              kernel, std::forward<Arguments>(arguments)...);
}

// Rows in runs that do not depend on how the batch is divided over ranks: those of one sample, cut
// into runs of at most `longest`. A run is summed in double by one thread, row by row; runs are
// added in double-double arithmetic, so that their order, and the number of blocks, does not
// matter.
struct Runs {
  int64_t rows_of_sample, per_sample, count;

  static constexpr int64_t longest = 32;
  explicit Runs(const Shape& x)
      : rows_of_sample(x.slice(1, x.rank() - 1).count()),
        per_sample((rows_of_sample + longest - 1) / longest),
        count(x[0] * per_sample) {}

  __device__ int64_t begin(int64_t run) const {
    return run / per_sample * rows_of_sample + run % per_sample * longest;
  }
  __device__ int64_t end(int64_t run) const {
    const int64_t sample_end = (run / per_sample + 1) * rows_of_sample;
    const int64_t whole = begin(run) + longest;
    return whole < sample_end ? whole : sample_end;
  }
};

// What a block leaves of its sums, until all blocks' are added: [part][sum][C].
struct PartialSums {
  double* high;
  double* low;
};

// Terms that need to know nothing of their channels.
struct PlainTerms {
  struct Nothing {};
  template <int width>
  __device__ Nothing of(int64_t) const {
    return {};
  }
};

// `terms` gives of each element `Terms::count` terms:
//   terms.of(channel): what it needs to know of `width` channels,
//   terms.add(that, first element, sums[count][width]): adds those of one group to sums in double.
template <int width, typename Terms>
__global__ void __launch_bounds__(block_size, 2)
    column_sums_kernel(Terms terms, Runs runs, Columns columns, PartialSums partial) {
  constexpr int count = Terms::count;
  DoubleDouble total[count][width];
  const int64_t channel = columns.channel();
  if (channel < columns.channels) {
    const auto known = terms.template of<width>(channel);
    for (int64_t run = columns.first_row(); run < runs.count; run += columns.row_step()) {
      double sums[count][width] = {};
      const int64_t end = runs.end(run);
#pragma unroll 4  // loads ahead of the sums
      for (int64_t row = runs.begin(run); row < end; ++row)
        terms.add(known, row * columns.channels + channel, sums);
      for (int t = 0; t < count; ++t)
        for (int e = 0; e < width; ++e) total[t][e].add(sums[t][e]);
    }
  }
  __shared__ double high[block_size * width], low[block_size * width];
  const int slots = columns.across * width;
  for (int t = 0; t < count; ++t) {
    __syncthreads();  // what was read of the sum before
    for (int e = 0; e < width; ++e) {
      const int slot = columns.lane() * slots + columns.column() * width + e;
      high[slot] = total[t][e].high;
      low[slot] = total[t][e].low;
    }
    __syncthreads();
    for (int slot = static_cast<int>(threadIdx.x); slot < slots; slot += block_size) {
      DoubleDouble sum;
      for (int lane = 0; lane < columns.down(); ++lane)
        sum.add(DoubleDouble{high[lane * slots + slot], low[lane * slots + slot]});
      if (columns.tile_begin() + slot >= columns.channels) continue;
      const int64_t to = (static_cast<int64_t>(blockIdx.y) * count + t) * columns.channels +
                         columns.tile_begin() + slot;
      partial.high[to] = sum.high;
      partial.low[to] = sum.low;
    }
  }
}

// Adds the parts, 32 sums to a block, and gives each to write(sum's number, value).
template <typename Write>
__global__ void __launch_bounds__(block_size)
    finish_sums_kernel(PartialSums partial, int64_t sums, int64_t parts, Write write) {
  constexpr int lanes = block_size / 32;
  __shared__ double high[block_size], low[block_size];
  const int lane = static_cast<int>(threadIdx.x) / 32;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x % 32;
  DoubleDouble sum;
  if (number < sums) {
    for (int64_t part = lane; part < parts; part += lanes)
      sum.add(DoubleDouble{partial.high[part * sums + number], partial.low[part * sums + number]});
  }
  high[threadIdx.x] = sum.high;
  low[threadIdx.x] = sum.low;
  __syncthreads();
  if (lane > 0 || number >= sums) return;
  for (int other = 1; other < lanes; ++other)
    sum.add(DoubleDouble{high[other * 32 + threadIdx.x], low[other * 32 + threadIdx.x]});
  write(number, sum);
}

// Sums in double take so many registers that eight channels to a thread would leave too few threads
// to hide the memory's latency.
constexpr int most_summed = 4;

// Terms::count sums over the rows of [B, .., C] for each channel, given to write(term * C +
// channel, sum) on the device.
template <int width, typename Terms, typename Write>
void sum_columns(const Call& call, const char* operation, const Shape& shape, const Terms& terms,
                 const Write& write) {
  const Columns columns(shape[-1], width);
  const Runs runs(shape);
  const int64_t sums = Terms::count * columns.channels;
  const int64_t parts = runs.count == 0 ? 0 : row_blocks(call, columns, runs.count);
  const size_t doubles = static_cast<size_t>(sums * parts);
  auto* memory = static_cast<double*>(call.context.scratch(2 * doubles * sizeof(double)));
  const PartialSums partial{memory, memory + doubles};
  launch_columns(call, operation, columns, runs.count, column_sums_kernel<width, Terms>, terms,
                 runs, columns, partial);
  launch_grid(call, operation, dim3(static_cast<unsigned>((sums + 31) / 32)),
              finish_sums_kernel<Write>, partial, sums, parts, write);
}

}  // namespace lacuna::cuda
