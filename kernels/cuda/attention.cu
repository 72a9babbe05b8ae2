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
  int tokens;
  __device__ T* operator[](int64_t token) const { return x + token * stride; }
};

// The same of all heads of all samples.
template <typename T>
struct Tokens {
  T* x;
  int64_t stride;
  int tokens;

  explicit Tokens(const View& view)
      : x(static_cast<T*>(view.data)),
        stride(view.shape[2]),
        tokens(static_cast<int>(view.shape[1])) {}
  // Queries, keys or values of [B, L, 3 H D].
  Tokens(const View& packed, int64_t third) : Tokens(packed) { x += stride / 3 * third; }
};

// How a call's heads are cut into blocks, which number heads of samples, and tiles of each one's
// queries or keys; and which keys a query sees.
struct Heads {
  int64_t heads;
  int queries, keys, size;  // M, L, D
  bool causal = false;
  const int64_t* lengths = nullptr;  // of the keys of each sample; nullptr: all

  static int tiles(int tokens) { return (tokens + tile - 1) / tile; }

  __device__ int64_t head(int tokens) const {
    return blockIdx.x / static_cast<unsigned>((tokens + tile - 1) / tile);
  }
  __device__ int first_token(int tokens) const {
    return static_cast<int>(blockIdx.x % static_cast<unsigned>((tokens + tile - 1) / tile)) * tile;
  }
  template <typename T>
  __device__ Rows<T> of(const Tokens<T>& all, int64_t number) const {
    return {all.x + number / heads * all.tokens * all.stride + number % heads * size, all.stride,
            all.tokens};
  }
  template <typename T>
  __device__ T* of_rows(T* lse, int64_t number) const {
    return lse + number * queries;
  }
  // The keys that query `token` of a head sees are the first so many.
  __device__ int seen(int64_t number, int token) const {
    return static_cast<int>(keys_seen(token, queries, keys, causal,
                                      lengths == nullptr ? keys : lengths[number / heads]));
  }
};

// Features [from, from + depth) of 64 tokens from `begin` on, features first; zeros beyond either's
// end.
template <typename T>
__device__ void load_features(const Rows<T>& rows, const Heads& heads, int begin, int from,
                              Line<1>* to) {
  const int k = static_cast<int>(threadIdx.x) % depth;
  for (int row = static_cast<int>(threadIdx.x) / depth; row < tile; row += block_size / depth) {
    const bool there = begin + row < rows.tokens && from + k < heads.size;
    to[k].values[row] = there ? to_float(rows[begin + row][from + k]) : 0.f;
  }
}

// The same of `depth` tokens and `tiles` tiles of features, tokens first.
template <int tiles, typename T>
__device__ void load_tokens(const Rows<T>& rows, const Heads& heads, int begin, int from,
                            Line<tiles>* to) {
  constexpr int threads = block_size / depth;
  const int line = static_cast<int>(threadIdx.x) / threads;
  for (int f = static_cast<int>(threadIdx.x) % threads; f < tiles * tile; f += threads) {
    const bool there = begin + line < rows.tokens && from + f < heads.size;
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
__device__ void products(const Heads& heads, const Rows<T>& a, int begin_a, const Rows<T>& b,
                         int begin_b, Line<1>* panel_a, Line<1>* panel_b, Square (&s)[1]) {
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
__device__ void add_weighted(const Heads& heads, const Line<1>* weights, const Rows<T>& x,
                             int begin, int feature, Line<tiles>* panel, Square (&sums)[tiles]) {
  for (int part = 0; part < tile && begin + part < x.tokens; part += depth) {
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
    if (token >= to.tokens) return;
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
    attention_kernel(Heads heads, Tokens<T> q, Tokens<T> k, Tokens<T> v, float scale, Tokens<T> y,
                     float* lse) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Panel<tiles> panel_v;
  __shared__ Weights weights;
  const int64_t head = heads.head(heads.queries);
  const auto of_q = heads.of(q, head);
  const auto of_k = heads.of(k, head);
  const auto of_v = heads.of(v, head);
  const int begin = heads.first_token(heads.queries);
  const int feature = static_cast<int>(blockIdx.y) * tiles * tile;
  Square sums[tiles] = {};
  float largest[side],
      sum[side];  // sums are in units of exp(largest); `sum` is of this thread's keys
  int seen[side];
  for (int r = 0; r < side; ++r) {
    largest[r] = -INFINITY;
    sum[r] = 0;
    seen[r] = heads.seen(head, begin + row_of_thread() + r);
  }
  const int last = heads.seen(head, std::min(begin + tile, heads.queries) - 1);  // sees the most
  for (int key = 0; key < last; key += tile) {
    Square s[1];
    products(heads, of_q, begin, of_k, key, panel_a, panel_b, s);
    for (int r = 0; r < side; ++r) {
      const float before = largest[r];
      for (int c = 0; c < side; ++c) {
        s[0][r][c] = key + column_of_thread() + c < seen[r] ? s[0][r][c] * scale : -INFINITY;
        largest[r] = fmaxf(largest[r], s[0][r][c]);
      }
      largest[r] = largest_of_row(largest[r]);
      const float shift = largest[r] == -INFINITY ? 0.f : largest[r];  // none was seen
      const float shrink = expf(before - shift);
      sum[r] *= shrink;
      for (int t = 0; t < tiles; ++t)
        for (int c = 0; c < side; ++c) sums[t][r][c] *= shrink;
      for (int c = 0; c < side; ++c) {
        s[0][r][c] = expf(s[0][r][c] - shift);
        sum[r] += s[0][r][c];
      }
    }
    store_weights(s[0], weights);
    add_weighted<tiles>(heads, weights, of_v, key, feature, panel_v, sums);
  }
  float inverse[side];
  for (int r = 0; r < side; ++r) {
    const float of_row = warp_sum(sum[r], across);
    inverse[r] = of_row > 0 ? 1 / of_row : 0.f;
    const int token = begin + row_of_thread() + r;
    if (blockIdx.y == 0 && column_of_thread() == 0 && token < heads.queries)
      heads.of_rows(lse, head)[token] =
          static_cast<float>(static_cast<double>(largest[r]) + log(static_cast<double>(of_row)));
  }
  store_sums(sums, inverse, heads, heads.of(y, head), begin, feature);
}

// rowsum(dy y) of every query; a warp to a row.
template <typename T>
__global__ void __launch_bounds__(block_size)
    along_kernel(Heads heads, Tokens<T> dy, Tokens<T> y, int64_t rows, float* along) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const int64_t head = row / heads.queries;
    const T* of_dy = heads.of(dy, head)[row % heads.queries];
    const T* of_y = heads.of(y, head)[row % heads.queries];
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
    query_gradient_kernel(Heads heads, Tokens<T> dy, Tokens<T> q, Tokens<T> k, Tokens<T> v,
                          const float* lse, const float* along, float scale, Tokens<T> dq) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Panel<tiles> panel_k;
  __shared__ Weights weights;
  const int64_t head = heads.head(heads.queries);
  const auto of_q = heads.of(q, head);
  const auto of_k = heads.of(k, head);
  const auto of_v = heads.of(v, head);
  const auto of_y = heads.of(dy, head);
  const int begin = heads.first_token(heads.queries);
  const int feature = static_cast<int>(blockIdx.y) * tiles * tile;
  float lse_of[side], along_of[side], scales[side];
  int seen[side];
  for (int r = 0; r < side; ++r) {
    const int token = std::min(begin + row_of_thread() + r, heads.queries - 1);
    lse_of[r] = heads.of_rows(lse, head)[token];
    along_of[r] = heads.of_rows(along, head)[token];
    scales[r] = scale;
    seen[r] = heads.seen(head, token);
  }
  const int last = heads.seen(head, std::min(begin + tile, heads.queries) - 1);
  Square sums[tiles] = {};
  for (int key = 0; key < last; key += tile) {
    Square s[1], ds[1];
    products(heads, of_q, begin, of_k, key, panel_a, panel_b, s);
    products(heads, of_y, begin, of_v, key, panel_a, panel_b, ds);
    for (int r = 0; r < side; ++r) {
      for (int c = 0; c < side; ++c) {
        const bool there = key + column_of_thread() + c < seen[r];
        const float p = there ? expf(fmaf(s[0][r][c], scale, -lse_of[r])) : 0.f;
        ds[0][r][c] = p * (ds[0][r][c] - along_of[r]);
      }
    }
    store_weights(ds[0], weights);
    add_weighted<tiles>(heads, weights, of_k, key, feature, panel_k, sums);
  }
  store_sums(sums, scales, heads, heads.of(dq, head), begin, feature);
}

// Block (x, y): the gradients of 64 keys and values of a head; features [64 y, 64 y + 64).
template <typename T>
__global__ void __launch_bounds__(block_size, 2)
    key_gradient_kernel(Heads heads, Tokens<T> dy, Tokens<T> q, Tokens<T> k, Tokens<T> v,
                        const float* lse, const float* along, float scale, Tokens<T> dk,
                        Tokens<T> dv) {
  __shared__ Panel<> panel_a, panel_b;
  __shared__ Weights weights, weights_ds;
  const int64_t head = heads.head(heads.keys);
  const auto of_q = heads.of(q, head);
  const auto of_k = heads.of(k, head);
  const auto of_v = heads.of(v, head);
  const auto of_y = heads.of(dy, head);
  const int begin = heads.first_token(heads.keys);
  const int feature = static_cast<int>(blockIdx.y) * tile;
  Square of_dk[1] = {};
  Square of_dv[1] = {};
  for (int query = 0; query < heads.queries; query += tile) {
    Square p[1], ds[1];
    products(heads, of_k, begin, of_q, query, panel_a, panel_b, p);
    products(heads, of_v, begin, of_y, query, panel_a, panel_b, ds);
    for (int c = 0; c < side; ++c) {
      const int token = query + column_of_thread() + c;
      const bool there = token < heads.queries;
      const float of_row = there ? heads.of_rows(lse, head)[token] : 0.f;
      const float along_row = there ? heads.of_rows(along, head)[token] : 0.f;
      const int seen = there ? heads.seen(head, token) : 0;
      for (int r = 0; r < side; ++r) {
        const bool used = begin + row_of_thread() + r < seen;
        p[0][r][c] = used ? expf(fmaf(p[0][r][c], scale, -of_row)) : 0.f;
        ds[0][r][c] = p[0][r][c] * (ds[0][r][c] - along_row);
      }
    }
    store_weights(p[0], weights);
    store_weights(ds[0], weights_ds);
    add_weighted<1>(heads, weights, of_y, query, feature, panel_b, of_dv);
    add_weighted<1>(heads, weights_ds, of_q, query, feature, panel_b, of_dk);
  }
  const float scales[side] = {scale, scale, scale, scale};
  const float ones[side] = {1, 1, 1, 1};
  store_sums(of_dk, scales, heads, heads.of(dk, head), begin, feature);
  store_sums(of_dv, ones, heads, heads.of(dv, head), begin, feature);
}

// All tiles of tokens of all heads of all samples, and of features.
dim3 blocks_of(const Heads& heads, int64_t samples, int tokens, int tiles) {
  return dim3(static_cast<unsigned>(samples * heads.heads * Heads::tiles(tokens)),
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

// Where queries, keys and values lie, and what belongs to them.
template <typename T>
struct Sources {
  Tokens<T> q, k, v;
};

// make(T{}): Sources<T>.
template <typename Make>
void attend(const Call& call, const Heads& heads, double scale, const Make& make) {
  const int64_t samples = call.in[0].shape[0];
  if (samples == 0) return;
  with_tiles(call.in[0].dtype, heads, [&](auto type, auto tiles) {
    using T = decltype(type);
    const Sources<T> from = make(type);
    launch_grid(call, "attention", blocks_of(heads, samples, heads.queries, tiles()),
                attention_kernel<tiles(), T>, heads, from.q, from.k, from.v,
                static_cast<float>(scale), Tokens<T>(call.out[0]), output<float>(call, 1));
  });
}

// What both gradients read beside queries, keys and values.
struct Kept {
  const View &dy, &y, &lse;
};

// make(T{}): Sources<T>, and make_gradients(T{}) those of the gradients.
template <typename Make, typename MakeGradients>
void attend_backward(const Call& call, const Heads& heads, double of_scale, const Kept& kept,
                     const Make& make, const MakeGradients& make_gradients) {
  const int64_t samples = kept.dy.shape[0];
  const int64_t rows = samples * heads.heads * heads.queries;
  if (samples == 0) return;
  auto* along =
      static_cast<float*>(call.context.scratch(static_cast<size_t>(rows) * sizeof(float)));
  const auto scale = static_cast<float>(of_scale);
  const auto* lse = static_cast<const float*>(kept.lse.data);
  with_tiles(kept.dy.dtype, heads, [&](auto type, auto tiles) {
    using T = decltype(type);
    const Sources<T> from = make(type);
    const Sources<T> to = make_gradients(type);
    const Tokens<T> dy(kept.dy);
    launch(call, "attention_gradient", rows * warp_size, along_kernel<T>, heads, dy,
           Tokens<T>(kept.y), rows, along);
    launch_grid(call, "attention_gradient", blocks_of(heads, samples, heads.queries, tiles()),
                query_gradient_kernel<tiles(), T>, heads, dy, from.q, from.k, from.v, lse, along,
                scale, to.q);
    launch_grid(call, "attention_gradient", blocks_of(heads, samples, heads.keys, 1),
                key_gradient_kernel<T>, heads, dy, from.q, from.k, from.v, lse, along, scale, to.k,
                to.v);
  });
}

// Sources of a packed tensor.
auto thirds_of(const View& packed) {
  return [&packed](auto type) {
    using T = decltype(type);
    return Sources<T>{{packed, 0}, {packed, 1}, {packed, 2}};
  };
}

// Sources of tensors of their own.
auto each_of(const View& q, const View& k, const View& v) {
  return [&q, &k, &v](auto type) {
    using T = decltype(type);
    return Sources<T>{Tokens<T>(q), Tokens<T>(k), Tokens<T>(v)};
  };
}

Heads self_heads(const View& qkv, const Attention& attributes) {
  const auto tokens = static_cast<int>(qkv.shape[1]);
  return {attributes.heads, tokens, tokens,
          static_cast<int>(qkv.shape[2] / (3 * attributes.heads))};
}

void attention(const Call& call) {
  const auto attributes = call.attributes.as<Attention>();
  attend(call, self_heads(call.in[0], attributes), attributes.scale, thirds_of(call.in[0]));
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const auto attributes = call.attributes.as<Attention>();
  const View& qkv = call.in[Operand::qkv];
  attend_backward(call, self_heads(qkv, attributes), attributes.scale,
                  {call.in[Operand::dy], call.in[Operand::y], call.in[Operand::lse]},
                  thirds_of(qkv), thirds_of(call.out[Operand::dqkv]));
}

Heads cross_heads(const Call& call, const View& q, const View& k, size_t lengths) {
  const auto attributes = call.attributes.as<CrossAttention>();
  return {attributes.heads,
          static_cast<int>(q.shape[1]),
          static_cast<int>(k.shape[1]),
          static_cast<int>(q.shape[2] / attributes.heads),
          attributes.causal != 0,
          attributes.lengths != 0 ? input<int64_t>(call, lengths) : nullptr};
}

void cross_attention(const Call& call) {
  using Operand = operands::CrossAttention;
  const View& q = call.in[Operand::q];
  const View& k = call.in[Operand::k];
  attend(call, cross_heads(call, q, k, Operand::lengths),
         call.attributes.as<CrossAttention>().scale, each_of(q, k, call.in[Operand::v]));
}

void cross_attention_gradient(const Call& call) {
  using Operand = operands::CrossAttentionGradient;
  const View& q = call.in[Operand::q];
  const View& k = call.in[Operand::k];
  attend_backward(call, cross_heads(call, q, k, Operand::lengths),
                  call.attributes.as<CrossAttention>().scale,
                  {call.in[Operand::dy], call.in[Operand::y], call.in[Operand::lse]},
                  each_of(q, k, call.in[Operand::v]),
                  each_of(call.out[Operand::dq], call.out[Operand::dk], call.out[Operand::dv]));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"attention", {f32, bf16, f16}, attention},
    KernelEntry{"attention_gradient", {f32, bf16, f16}, attention_gradient},
    KernelEntry{"cross_attention", {f32, bf16, f16}, cross_attention},
    KernelEntry{"cross_attention_gradient", {f32, bf16, f16}, cross_attention_gradient},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return table; }

}  // namespace lacuna::cuda
