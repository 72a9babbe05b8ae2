// Attention in f32, for exact runs, and for head widths that the library refuses; without the L x L
// weights in memory: they are made tile by tile, 64 x 64 in the registers of a block (4 x 4 a
// thread), by f32 multiply-adds from shared memory. Bound by these, not by bytes. Up to D = 64, and
// per sample and head:
//
//   attention            4 L^2 D FLOPs
//   attention_gradient   14 L^2 D: queries' gradients 6, keys' and values' 8
//
// L counts as a multiple of 64, but of 16 where it is summed over. Heads wider than 128 make the
// weights again for every 128 features of the output; for keys and values every 64 do. ViT-S at 256
// images (H = 6, L = 197, D = 64): 15 and 53 GFLOP, half more as tiles have it, so 0.7 and 2.5 ms
// at half of an H100's 67 TFLOP/s. Bytes: 0.3 and 0.6 GB, 0.1 and 0.2 ms.
//
// Every sum has a fixed order: forward goes along the keys with each row's largest product so far,
// and scales anew what it has summed when a larger one comes; the gradient of a key or a value is
// summed by one block.
#include "kernels/attention.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

constexpr int tile = 64;   // rows and columns of a block's weights
constexpr int depth = 16;  // terms in shared memory at a time
constexpr int side = 4;    // rows and columns of a thread
constexpr int across = tile / side;

// Lines of `tiles` tiles in shared memory; 4 more, so that writing goes to different banks.
template <int tiles>
struct Line {
  alignas(16) float values[tiles * tile + 4];
};
template <int tiles = 1>
using Panel = Line<tiles>[depth];
using Weights = Line<1>[tile];

using Square = float[side][side];

__device__ inline int row_of_thread() { return static_cast<int>(threadIdx.x) / across * side; }
__device__ inline int column_of_thread() { return static_cast<int>(threadIdx.x) % across * side; }

// One head of one sample: its tokens' queries, keys or values, or what belongs to them.
template <typename T>
struct Rows {
  T* x;
  int64_t stride;  // elements between tokens
  __device__ T* operator[](int64_t token) const { return x + token * stride; }
};

// How heads lie in packed tensors. Blocks number heads of samples, and the tiles of each one's
// tokens.
struct Heads {
  int64_t heads;
  int tokens, size;  // L, D

  Heads(const View& qkv, int64_t of_heads)
      : heads(of_heads),
        tokens(static_cast<int>(qkv.shape[1])),
        size(static_cast<int>(qkv.shape[2] / (3 * of_heads))) {}

  __host__ __device__ int tiles() const { return (tokens + tile - 1) / tile; }
  __device__ int64_t head() const { return blockIdx.x / tiles(); }
  __device__ int first_token() const { return static_cast<int>(blockIdx.x) % tiles() * tile; }

  // Of qkv, which: queries, keys, values.
  template <typename T>
  __device__ Rows<T> of_packed(T* qkv, int which) const {
    const int64_t sample = head() / heads;
    return {qkv + (sample * tokens * 3 + which) * heads * size + head() % heads * size,
            3 * heads * size};
  }
  template <typename T>
  __device__ Rows<T> of_single(T* y, int64_t number) const {
    return {y + (number / heads * tokens * heads + number % heads) * size, heads * size};
  }
  template <typename T>
  __device__ T* of_rows(T* lse) const {
    return lse + head() * tokens;
  }
};

// Features [from, from + depth) of 64 tokens from `begin` on, features first; zeros beyond either's
// end.
template <typename T>
__device__ void load_features(const Rows<const T>& rows, const Heads& heads, int begin, int from,
                              Line<1>* to) {
  const int k = static_cast<int>(threadIdx.x) % depth;
  for (int row = static_cast<int>(threadIdx.x) / depth; row < tile; row += block_size / depth) {
    const bool there = begin + row < heads.tokens && from + k < heads.size;
    to[k].values[row] = there ? to_float(rows[begin + row][from + k]) : 0.f;
  }
}

// The same of `depth` tokens and `tiles` tiles of features, tokens first.
template <int tiles, typename T>
__device__ void load_tokens(const Rows<const T>& rows, const Heads& heads, int begin, int from,
                            Line<tiles>* to) {
  constexpr int threads = block_size / depth;
  const int line = static_cast<int>(threadIdx.x) / threads;
  for (int f = static_cast<int>(threadIdx.x) % threads; f < tiles * tile; f += threads) {
    const bool there = begin + line < heads.tokens && from + f < heads.size;
    to[line].values[f] = there ? to_float(rows[begin + line][from + f]) : 0.f;
  }
}

// sums[t][r][c] += the sum over k of a[k][row + r] b[k][64 t + column + c]
template <int tiles>
__device__ void multiply(const Line<1>* a, const Line<tiles>* b, Square (&sums)[tiles]) {
  for (int k = 0; k < depth; ++k) {
    float x[side], y[side];
    load_group(a[k].values + row_of_thread(), x);
    for (int t = 0; t < tiles; ++t) {
      load_group(b[k].values + t * tile + column_of_thread(), y);
      for (int r = 0; r < side; ++r)
        for (int c = 0; c < side; ++c) sums[t][r][c] = fmaf(x[r], y[c], sums[t][r][c]);
    }
  }
}

// Dot products of 64 tokens of a with 64 of b; this thread's.
template <typename T>
__device__ void products(const Heads& heads, const Rows<const T>& a, int begin_a,
                         const Rows<const T>& b, int begin_b, Line<1>* panel_a, Line<1>* panel_b,
                         Square (&s)[1]) {
  for (int r = 0; r < side; ++r)
    for (int c = 0; c < side; ++c) s[0][r][c] = 0;
  for (int from = 0; from < heads.size; from += depth) {
    __syncthreads();  // what was read of the panels before
    load_features(a, heads, begin_a, from, panel_a);
    load_features(b, heads, begin_b, from, panel_b);
    __syncthreads();
    multiply<1>(panel_a, panel_b, s);
  }
}

// sums += weights^T x, of 64 tokens of x from `begin` on; the weights are [token of x][token of the
// sums].
template <int tiles, typename T>
__device__ void add_weighted(const Heads& heads, const Line<1>* weights, const Rows<const T>& x,
                             int begin, int feature, Line<tiles>* panel, Square (&sums)[tiles]) {
  for (int part = 0; part < tile && begin + part < heads.tokens; part += depth) {
    __syncthreads();  // the weights are there; what was read of the panel before
    load_tokens<tiles>(x, heads, begin + part, feature, panel);
    __syncthreads();
    multiply<tiles>(weights + part, panel, sums);
  }
}

__device__ inline void store_weights(const Square& from, Line<1>* weights) {
  for (int c = 0; c < side; ++c) {
    float values[side];
    for (int r = 0; r < side; ++r) values[r] = from[r][c];
    store_group(values, weights[column_of_thread() + c].values + row_of_thread());
  }
}

template <int tiles, typename T>
__device__ void store_sums(const Square (&sums)[tiles], const float (&factors)[side],
                           const Heads& heads, const Rows<T>& to, int begin, int feature) {
  for (int r = 0; r < side; ++r) {
    const int token = begin + row_of_thread() + r;
    if (token >= heads.tokens) return;
    for (int t = 0; t < tiles; ++t) {
      for (int c = 0; c < side; ++c) {
        const int f = feature + t * tile + column_of_thread() + c;
        if (f < heads.size) to[token][f] = from_float<T>(sums[t][r][c] * factors[r]);
      }
    }
  }
}

// Over the threads that share rows.
__device__ inline float largest_of_row(float x) {
  for (int with = across / 2; with > 0; with /= 2)
    x = fmaxf(x, __shfl_xor_sync(whole_warp, x, with));
  return x;
}

// Block (x, y): 64 queries of a head; features [64 tiles y, 64 tiles (y + 1)) of the output.
template <int tiles, typename T>
__global__ void __launch_bounds__(block_size, 2)
    attention_kernel(Heads heads, const T* qkv, float scale, T* y, float* lse) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Panel<tiles> panel_v;
  __shared__ Weights weights;
  const auto q = heads.of_packed(qkv, 0);
  const auto k = heads.of_packed(qkv, 1);
  const auto v = heads.of_packed(qkv, 2);
  const int begin = heads.first_token();
  const int feature = static_cast<int>(blockIdx.y) * tiles * tile;
  Square sums[tiles] = {};
  float largest[side],
      sum[side];  // sums are in units of exp(largest); `sum` is of this thread's keys
  for (int r = 0; r < side; ++r) {
    largest[r] = -INFINITY;
    sum[r] = 0;
  }
  for (int key = 0; key < heads.tokens; key += tile) {
    Square s[1];
    products(heads, q, begin, k, key, panel_a, panel_b, s);
    for (int r = 0; r < side; ++r) {
      const float before = largest[r];
      for (int c = 0; c < side; ++c) {
        s[0][r][c] = key + column_of_thread() + c < heads.tokens ? s[0][r][c] * scale : -INFINITY;
        largest[r] = fmaxf(largest[r], s[0][r][c]);
      }
      largest[r] = largest_of_row(largest[r]);
      const float shrink = expf(before - largest[r]);
      sum[r] *= shrink;
      for (int t = 0; t < tiles; ++t)
        for (int c = 0; c < side; ++c) sums[t][r][c] *= shrink;
      for (int c = 0; c < side; ++c) {
        s[0][r][c] = expf(s[0][r][c] - largest[r]);
        sum[r] += s[0][r][c];
      }
    }
    store_weights(s[0], weights);
    add_weighted<tiles>(heads, weights, v, key, feature, panel_v, sums);
  }
  float inverse[side];
  for (int r = 0; r < side; ++r) {
    const float of_row = warp_sum(sum[r], across);
    inverse[r] = 1 / of_row;
    const int token = begin + row_of_thread() + r;
    if (blockIdx.y == 0 && column_of_thread() == 0 && token < heads.tokens)
      heads.of_rows(lse)[token] =
          static_cast<float>(static_cast<double>(largest[r]) + log(static_cast<double>(of_row)));
  }
  store_sums(sums, inverse, heads, heads.of_single(y, heads.head()), begin, feature);
}

// rowsum(dy y) of every query; a warp to a row.
template <typename T>
__global__ void __launch_bounds__(block_size)
    along_kernel(Heads heads, const T* dy, const T* y, int64_t rows, float* along) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const int64_t head = row / heads.tokens;
    const T* of_dy = heads.of_single(dy, head)[row % heads.tokens];
    const T* of_y = heads.of_single(y, head)[row % heads.tokens];
    float sum = 0;
    for (int d = lane_of_warp(); d < heads.size; d += warp_size)
      sum = fmaf(to_float(of_dy[d]), to_float(of_y[d]), sum);
    sum = warp_sum(sum);
    if (lane_of_warp() == 0) along[row] = sum;
  }
}

// Block (x, y): the gradients of 64 queries of a head; features as in attention_kernel.
template <int tiles, typename T>
__global__ void __launch_bounds__(block_size, 2)
    query_gradient_kernel(Heads heads, const T* dy, const T* qkv, const float* lse,
                          const float* along, float scale, T* dqkv) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Panel<tiles> panel_k;
  __shared__ Weights weights;
  const auto q = heads.of_packed(qkv, 0);
  const auto k = heads.of_packed(qkv, 1);
  const auto v = heads.of_packed(qkv, 2);
  const auto of_y = heads.of_single(dy, heads.head());
  const int begin = heads.first_token();
  const int feature = static_cast<int>(blockIdx.y) * tiles * tile;
  float lse_of[side], along_of[side], scales[side];
  for (int r = 0; r < side; ++r) {
    const int token = std::min(begin + row_of_thread() + r, heads.tokens - 1);
    lse_of[r] = heads.of_rows(lse)[token];
    along_of[r] = heads.of_rows(along)[token];
    scales[r] = scale;
  }
  Square sums[tiles] = {};
  for (int key = 0; key < heads.tokens; key += tile) {
    Square s[1], ds[1];
    products(heads, q, begin, k, key, panel_a, panel_b, s);
    products(heads, of_y, begin, v, key, panel_a, panel_b, ds);
    for (int r = 0; r < side; ++r) {
      for (int c = 0; c < side; ++c) {
        const bool there = key + column_of_thread() + c < heads.tokens;
        const float p = there ? expf(fmaf(s[0][r][c], scale, -lse_of[r])) : 0.f;
        ds[0][r][c] = p * (ds[0][r][c] - along_of[r]);
      }
    }
    store_weights(ds[0], weights);
    add_weighted<tiles>(heads, weights, k, key, feature, panel_k, sums);
  }
  store_sums(sums, scales, heads, heads.of_packed(dqkv, 0), begin, feature);
}

// Block (x, y): the gradients of 64 keys and values of a head; features [64 y, 64 y + 64).
template <typename T>
__global__ void __launch_bounds__(block_size, 2)
    key_gradient_kernel(Heads heads, const T* dy, const T* qkv, const float* lse,
                        const float* along, float scale, T* dqkv) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Weights weights, weights_ds;
  const auto q = heads.of_packed(qkv, 0);
  const auto k = heads.of_packed(qkv, 1);
  const auto v = heads.of_packed(qkv, 2);
  const auto of_y = heads.of_single(dy, heads.head());
  const int begin = heads.first_token();
  const int feature = static_cast<int>(blockIdx.y) * tile;
  Square of_k[1] = {};
  Square of_v[1] = {};
  for (int query = 0; query < heads.tokens; query += tile) {
    Square p[1], ds[1];
    products(heads, k, begin, q, query, panel_a, panel_b, p);
    products(heads, v, begin, of_y, query, panel_a, panel_b, ds);
    for (int c = 0; c < side; ++c) {
      const int token = query + column_of_thread() + c;
      const bool there = token < heads.tokens;
      const float of_row = there ? heads.of_rows(lse)[token] : 0.f;
      const float along_row = there ? heads.of_rows(along)[token] : 0.f;
      for (int r = 0; r < side; ++r) {
        p[0][r][c] = there ? expf(fmaf(p[0][r][c], scale, -of_row)) : 0.f;
        ds[0][r][c] = p[0][r][c] * (ds[0][r][c] - along_row);
      }
    }
    store_weights(p[0], weights);
    store_weights(ds[0], weights_ds);
    add_weighted<1>(heads, weights, of_y, query, feature, panel_b, of_v);
    add_weighted<1>(heads, weights_ds, q, query, feature, panel_b, of_k);
  }
  const float scales[side] = {scale, scale, scale, scale};
  const float ones[side] = {1, 1, 1, 1};
  store_sums(of_k, scales, heads, heads.of_packed(dqkv, 1), begin, feature);
  store_sums(of_v, ones, heads, heads.of_packed(dqkv, 2), begin, feature);
}

// All tiles of tokens of all heads of all samples, and of features.
dim3 blocks_of(const Heads& heads, int64_t samples, int tiles) {
  return dim3(static_cast<unsigned>(samples * heads.heads * heads.tiles()),
              static_cast<unsigned>((heads.size + tiles * tile - 1) / (tiles * tile)));
}

// Calls f(T{}, tiles of features of a block).
template <typename F>
void with_tiles(DType dtype, const Heads& heads, F f) {
  with_float(dtype, [&](auto type) {
    if (heads.size <= tile) {
      f(type, std::integral_constant<int, 1>());
    } else {
      f(type, std::integral_constant<int, 2>());
    }
  });
}

void attention(const Call& call) {
  const View& qkv = call.in[0];
  const auto p = call.attributes.as<Attention>();
  const Heads heads(qkv, p.heads);
  if (qkv.shape[0] == 0) return;
  with_tiles(qkv.dtype, heads, [&](auto type, auto tiles) {
    using T = decltype(type);
    launch_grid(call, "attention", blocks_of(heads, qkv.shape[0], tiles()),
                attention_kernel<tiles(), T>, heads, input<T>(call, 0), static_cast<float>(p.scale),
                output<T>(call), output<float>(call, 1));
  });
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const View& qkv = call.in[Operand::qkv];
  const auto p = call.attributes.as<Attention>();
  const Heads heads(qkv, p.heads);
  const int64_t rows = qkv.shape[0] * p.heads * heads.tokens;
  if (rows == 0) return;
  auto* along =
      static_cast<float*>(call.context.scratch(static_cast<size_t>(rows) * sizeof(float)));
  const auto scale = static_cast<float>(p.scale);
  with_tiles(qkv.dtype, heads, [&](auto type, auto tiles) {
    using T = decltype(type);
    const T* dy = input<T>(call, Operand::dy);
    const float* lse = input<float>(call, Operand::lse);
    launch(call, "attention_gradient", rows * warp_size, along_kernel<T>, heads, dy,
           input<T>(call, Operand::y), rows, along);
    launch_grid(call, "attention_gradient", blocks_of(heads, qkv.shape[0], tiles()),
                query_gradient_kernel<tiles(), T>, heads, dy, input<T>(call, Operand::qkv), lse,
                along, scale, output<T>(call));
    launch_grid(call, "attention_gradient", blocks_of(heads, qkv.shape[0], 1),
                key_gradient_kernel<T>, heads, dy, input<T>(call, Operand::qkv), lse, along, scale,
                output<T>(call));
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"attention", {f32, bf16, f16}, attention},
    KernelEntry{"attention_gradient", {f32, bf16, f16}, attention_gradient},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return table; }

}  // namespace lacuna::cuda
