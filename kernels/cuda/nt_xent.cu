// NT-Xent without the 2B x 2G similarities in memory: they are made tile by tile, 64 x 64 in the
// registers of a block (4 x 4 a thread), by f32 multiply-adds from shared memory. Bound by these,
// not by bytes:
//
//   forward    8 B G D FLOPs
//   gradient   per 64 features of the output 8 B G (D + 64), for the own rows and for all rows:
//              of D = 128
//              6 times the forward's, 1.5 times what it would be with the similarities in memory
//
// For B = 512, G = 4096, D = 128 that is 2.1 and 13 GFLOP: 0.07 and 0.4 ms at half of an H100's 67
// TFLOP/s, where a step of ResNet-50 takes some 200.
#include "kernels/nt_xent.h"

#include <array>

#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

constexpr int tile = 64;   // rows and columns of a block's similarities
constexpr int depth = 16;  // features in shared memory at a time
constexpr int side = 4;    // rows and columns of a thread
constexpr int across = tile / side;

// Rows of both views as one list.
struct Rows {
  const float *view0, *view1;  // [half, D]
  int64_t half, features;
  __host__ __device__ int64_t count() const { return 2 * half; }
  __device__ const float* operator[](int64_t i) const {
    return i < half ? view0 + i * features : view1 + (i - half) * features;
  }
};

// Which of all rows are special for own row i.
struct Places {
  int64_t b, g;
  const int64_t* begin;  // where the own rows begin among all: a value of the step
  float inverse_temperature;
  int64_t first = 0;  // *begin, once a kernel has read it
  __device__ void read() { first = *begin; }
  __device__ int64_t self(int64_t i) const { return i < b ? first + i : g + first + i - b; }
  __device__ int64_t pair(int64_t i) const { return i < b ? g + first + i : first + i - b; }
};

// A tile's rows in shared memory, features first; 4 more to a line, so that writing goes to
// different banks.
using Panel = float[depth][tile + 4];

__device__ inline int row_of_thread() { return static_cast<int>(threadIdx.x) / across * side; }
__device__ inline int column_of_thread() { return static_cast<int>(threadIdx.x) % across * side; }

// Features [from, from + depth) of 64 rows from `begin` on; zeros beyond either's end.
__device__ inline void load_panel(const Rows& rows, int64_t begin, int64_t from, Panel& to) {
  const int row = static_cast<int>(threadIdx.x) / 4;
  const int first = static_cast<int>(threadIdx.x) % 4 * 4;
  const bool there = begin + row < rows.count();
  const float* x = there ? rows[begin + row] : nullptr;
  for (int k = first; k < first + 4; ++k)
    to[k][row] = there && from + k < rows.features ? x[from + k] : 0.f;
}

// sums[r][c] += the sum over k of a[k][row + r] b[k][column + c]
__device__ inline void multiply(const float (*a)[tile + 4], const float (*b)[tile + 4],
                                float (&sums)[side][side]) {
  for (int k = 0; k < depth; ++k) {
    float x[side], y[side];
    for (int r = 0; r < side; ++r) x[r] = a[k][row_of_thread() + r];
    for (int c = 0; c < side; ++c) y[c] = b[k][column_of_thread() + c];
    for (int r = 0; r < side; ++r)
      for (int c = 0; c < side; ++c) sums[r][c] = fmaf(x[r], y[c], sums[r][c]);
  }
}

// Dot products of 64 rows of a with 64 of b; this thread's.
__device__ inline void similarities(const Rows& a, int64_t begin_a, const Rows& b, int64_t begin_b,
                                    Panel& panel_a, Panel& panel_b, float (&s)[side][side]) {
  for (int r = 0; r < side; ++r)
    for (int c = 0; c < side; ++c) s[r][c] = 0;
  for (int64_t from = 0; from < a.features; from += depth) {
    __syncthreads();  // what was read of the panels before
    load_panel(a, begin_a, from, panel_a);
    load_panel(b, begin_b, from, panel_b);
    __syncthreads();
    multiply(panel_a, panel_b, s);
  }
}

// log sum exp as it grows: the sum is in units of exp(largest).
struct LogSum {
  float largest = -INFINITY, sum = 0;
  __device__ void add(float x) { add(LogSum{x, 1}); }
  __device__ void add(const LogSum& other) {
    if (other.sum == 0) return;  // of nothing; a sum that is not finite goes on
    const float before = largest;
    largest = fmaxf(before, other.largest);
    sum = sum * expf(before - largest) + other.sum * expf(other.largest - largest);
  }
};

// What a block found for a row.
struct RowPart {
  float largest, sum, pair;
};

// Block (x, y): 64 own rows against the column tiles y, y + gridDim.y, ….
__global__ void __launch_bounds__(block_size)
    nt_xent_kernel(Rows own, Rows all, Places places, RowPart* parts) {
  __shared__ Panel panel_a, panel_b;
  places.read();
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * tile;
  LogSum found[side];
  float pair[side] = {};
  for (int64_t column = static_cast<int64_t>(blockIdx.y) * tile; column < all.count();
       column += static_cast<int64_t>(gridDim.y) * tile) {
    float s[side][side];
    similarities(own, begin, all, column, panel_a, panel_b, s);
    for (int r = 0; r < side; ++r) {
      const int64_t i = begin + row_of_thread() + r;
      if (i >= own.count()) continue;
      for (int c = 0; c < side; ++c) {
        const int64_t j = column + column_of_thread() + c;
        if (j >= all.count() || j == places.self(i)) continue;
        const float x = s[r][c] * places.inverse_temperature;
        found[r].add(x);
        if (j == places.pair(i)) pair[r] = x;
      }
    }
  }
  for (int r = 0; r < side; ++r) {
    for (int with = across / 2; with > 0; with /= 2) {
      const LogSum other{__shfl_xor_sync(whole_warp, found[r].largest, with),
                         __shfl_xor_sync(whole_warp, found[r].sum, with)};
      found[r].add(other);
    }
    const float of_row = warp_sum(pair[r], across);
    const int64_t i = begin + row_of_thread() + r;
    if (column_of_thread() == 0 && i < own.count())
      parts[static_cast<int64_t>(blockIdx.y) * own.count() + i] = {found[r].largest, found[r].sum,
                                                                   of_row};
  }
}

__global__ void __launch_bounds__(block_size)
    nt_xent_rows_kernel(const RowPart* parts, int64_t count, int64_t rows, float* lse,
                        double* losses) {
  for (int64_t i = first_of_grid(); i < rows; i += threads_of_grid()) {
    LogSum all;
    float pair = 0;
    for (int64_t part = 0; part < count; ++part) {
      const RowPart& p = parts[part * rows + i];
      all.add(LogSum{p.largest, p.sum});
      pair += p.pair;
    }
    const double of_row = static_cast<double>(all.largest) + log(static_cast<double>(all.sum));
    lse[i] = static_cast<float>(of_row);
    losses[i] = of_row - static_cast<double>(pair);
  }
}

// Block (x, y): features [64 y, 64 y + 64) of the gradients of rows [64 x, 64 x + 64) of `to`,
// which are the own rows or, `of_all`, all rows; `other` are the rows that they are multiplied
// with.
template <bool of_all>
__global__ void __launch_bounds__(block_size)
    nt_xent_gradient_kernel(Rows to, Rows other, Places places, const float* lse,
                            const float* dloss, double factor, float* gradient0, float* gradient1) {
  __shared__ Panel panel_a, panel_b;
  __shared__ float weights[tile][tile + 4];  // the loss's gradient by the similarities: [other][to]
  places.read();
  const auto whole = static_cast<float>(factor * static_cast<double>(*dloss));
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * tile;
  const int64_t feature = static_cast<int64_t>(blockIdx.y) * tile;
  float sums[side][side] = {};
  for (int64_t column = 0; column < other.count(); column += tile) {
    float s[side][side];
    similarities(to, begin, other, column, panel_a, panel_b, s);
    for (int r = 0; r < side; ++r) {
      for (int c = 0; c < side; ++c) {
        const int64_t row = begin + row_of_thread() + r;
        const int64_t of_other = column + column_of_thread() + c;
        const int64_t i = of_all ? of_other : row;
        const int64_t j = of_all ? row : of_other;
        float weight = 0;
        if (row < to.count() && of_other < other.count() && j != places.self(i)) {
          weight = whole * expf(fmaf(s[r][c], places.inverse_temperature, -lse[i]));
          if (j == places.pair(i)) weight -= whole;
        }
        weights[column_of_thread() + c][row_of_thread() + r] = weight;
      }
    }
    for (int part = 0; part < tile; part += depth) {
      __syncthreads();  // the weights are there; what was read of the panel before
      const int line = static_cast<int>(threadIdx.x) / 16;
      const int64_t of_other = column + part + line;
      for (int f = static_cast<int>(threadIdx.x) % 16; f < tile; f += 16) {
        const bool there = of_other < other.count() && feature + f < other.features;
        panel_b[line][f] = there ? other[of_other][feature + f] : 0.f;
      }
      __syncthreads();
      multiply(weights + part, panel_b, sums);
    }
  }
  for (int r = 0; r < side; ++r) {
    const int64_t row = begin + row_of_thread() + r;
    if (row >= to.count()) continue;
    float* gradient =
        row < to.half ? gradient0 + row * to.features : gradient1 + (row - to.half) * to.features;
    for (int c = 0; c < side; ++c) {
      const int64_t f = feature + column_of_thread() + c;
      if (f < to.features) gradient[f] = sums[r][c];
    }
  }
}

unsigned tiles_of(int64_t count) { return static_cast<unsigned>((count + tile - 1) / tile); }

// Operands z0, z1, all0, all1, first, from input `begin` on.
struct Operands {
  Rows own, all;
  Places places;
  using Operand = operands::NtXent;
  Operands(const Call& call, size_t begin)
      : own{input<float>(call, begin + Operand::z0), input<float>(call, begin + Operand::z1),
            call.in[begin].shape[0], call.in[begin].shape[1]},
        all{input<float>(call, begin + Operand::all0), input<float>(call, begin + Operand::all1),
            call.in[begin + Operand::all0].shape[0], own.features} {
    const auto attributes = call.attributes.as<NtXent>();
    places = {own.half, all.half, input<int64_t>(call, begin + Operand::first),
              static_cast<float>(1 / attributes.temperature)};
  }
  double share() const { return 1 / static_cast<double>(all.count()); }
};

void nt_xent(const Call& call) {
  using Operand = operands::NtXent;
  const Operands o(call, 0);
  const int64_t rows = o.own.count();
  const unsigned row_tiles = tiles_of(rows);
  // As many blocks as fill the device: where there are few rows, columns are shared too.
  const auto splits = static_cast<unsigned>(std::clamp<int64_t>(
      context_of(call).blocks() / std::max(1u, row_tiles), 1, tiles_of(o.all.count())));
  double* losses = scratch_doubles(
      call, rows +
                static_cast<int64_t>((static_cast<size_t>(rows) * splits * sizeof(RowPart)) /
                                     sizeof(double)) +
                1);
  auto* parts = reinterpret_cast<RowPart*>(losses + rows);
  if (rows > 0) {
    launch_grid(call, "nt_xent", dim3(row_tiles, splits), nt_xent_kernel, o.own, o.all, o.places,
                parts);
    launch(call, "nt_xent", rows, nt_xent_rows_kernel, parts, static_cast<int64_t>(splits), rows,
           output<float>(call, Operand::lse), losses);
  }
  launch_total(call, "nt_xent", losses, rows, o.share(), output<float>(call));
}

void nt_xent_gradient(const Call& call) {
  using Operand = operands::NtXentGradient;
  const Operands o(call, Operand::z0);
  const double factor = o.share() / call.attributes.as<NtXent>().temperature;
  const float* dloss = input<float>(call, Operand::dloss);
  const float* lse = input<float>(call, Operand::lse);
  const unsigned features = tiles_of(o.own.features);
  if (o.own.count() > 0)
    launch_grid(call, "nt_xent_gradient", dim3(tiles_of(o.own.count()), features),
                nt_xent_gradient_kernel<false>, o.own, o.all, o.places, lse, dloss, factor,
                output<float>(call, Operand::dz0), output<float>(call, Operand::dz1));
  launch_grid(call, "nt_xent_gradient", dim3(tiles_of(o.all.count()), features),
              nt_xent_gradient_kernel<true>, o.all, o.own, o.places, lse, dloss, factor,
              output<float>(call, Operand::dall0), output<float>(call, Operand::dall1));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"nt_xent", {f32}, nt_xent},
    KernelEntry{"nt_xent_gradient", {f32}, nt_xent_gradient},
};

}  // namespace

std::span<const KernelEntry> nt_xent_kernels() { return table; }

}  // namespace lacuna::cuda
