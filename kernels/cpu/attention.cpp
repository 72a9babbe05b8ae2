// Attention, one head of one sample after the other (threads share them): 4 L^2 D FLOPs forward,
// 10 L^2 D backward (M L for M queries of their own), bound by arithmetic. Everything a head needs
// is packed as f32 in the thread's part of scratch: q, k, v and their gradients 4 L D bytes each,
// and the weights of a block of queries, 4 x 48 x L bytes, which stay in the second cache up to
// some thousand tokens.
// Products are sums of outer products in registers, a broadcast times a vector; so one factor's
// rows must be contiguous along the result's columns, and k and v are kept transposed where that
// asks for it. Packing costs L D stores, 1 / L of the products. Weights in f32, their sums in
// double.
#include "kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

#ifndef LACUNA_KERNELS_CPU_ATTENTION_ONCE
#define LACUNA_KERNELS_CPU_ATTENTION_ONCE
namespace lacuna::cpu {

// Sizes of a call. Rows of packed matrices have a multiple of 16 elements, those behind zero.
struct AttentionSizes {
  int64_t samples, heads, queries, keys, size;  // B, H, M, L, D
  float scale;
  bool causal = false;
  const int64_t* lengths = nullptr;  // of the keys of each sample; nullptr: all
  int64_t long_row, short_row;       // of L and of D elements

  static constexpr int64_t block = 48;  // queries at a time

  AttentionSizes(int64_t of_samples, int64_t of_heads, int64_t of_queries, int64_t of_keys,
                 int64_t of_size, double of_scale)
      : samples(of_samples),
        heads(of_heads),
        queries(of_queries),
        keys(of_keys),
        size(of_size),
        scale(static_cast<float>(of_scale)),
        long_row((keys + 15) / 16 * 16),
        short_row((size + 15) / 16 * 16) {}
  int64_t query_floats() const { return queries * short_row; }  // of a packed matrix
  int64_t key_floats() const { return keys * short_row; }
  int64_t columns_floats() const { return size * long_row; }   // of transposed keys
  int64_t weights_floats() const { return block * long_row; }  // of a block of queries
  int64_t results_floats() const { return block * short_row; }
  int64_t forward_floats() const {
    return query_floats() + key_floats() + columns_floats() + weights_floats() + results_floats();
  }
  int64_t backward_floats() const {
    return 3 * query_floats() + 3 * key_floats() + 2 * columns_floats() + 2 * weights_floats() +
           results_floats();
  }
  int64_t seen(int64_t sample, int64_t query) const {
    return keys_seen(query, queries, keys, causal, lengths ? lengths[sample] : keys);
  }
};

// Tokens of all heads and samples: those of a sample behind each other, `stride` elements apart.
struct AttentionTokens {
  void* data;
  int64_t tokens, stride;
  // Of head `index`, counted over all samples.
  template <typename T>
  T* head(const AttentionSizes& s, int64_t index) const {
    return static_cast<T*>(data) + index / s.heads * tokens * stride + index % s.heads * s.size;
  }
};

// What a call reads and writes; what the forward pass does not have is empty.
struct AttentionOperands {
  AttentionTokens q, k, v, y;
  float* lse;
  AttentionTokens dy = {}, dq = {}, dk = {}, dv = {};
};

// Hands out a thread's part of scratch.
class Packed {
 public:
  explicit Packed(float* begin) : next_(begin) {}
  float* take(int64_t floats) {
    float* taken = next_;
    next_ += floats;
    return taken;
  }

 private:
  float* next_;
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// The left factor of a product: element (i, p) at i row + p column.
struct Left {
  const float* data;
  int64_t row, column;
};

// R rows of V vectors of c = (c +) a b, in registers.
template <int R, int V, bool add>
HWY_INLINE void tile(int64_t depth, Left a, const float* b, int64_t b_row, float* c,
                     int64_t c_row) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[R][V];
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) {
      sums[i][j] = add ? hn::LoadU(d, c + i * c_row + j * lanes) : hn::Zero(d);
    }
  }
  for (int64_t p = 0; p < depth; ++p) {
    hn::Vec<decltype(d)> right[V];
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) right[j] = hn::LoadU(d, b + p * b_row + j * lanes);
#pragma GCC unroll 6
    for (int i = 0; i < R; ++i) {
      const auto left = hn::Set(d, a.data[i * a.row + p * a.column]);
#pragma GCC unroll 4
      for (int j = 0; j < V; ++j) sums[i][j] = hn::MulAdd(left, right[j], sums[i][j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < V; ++j) hn::StoreU(sums[i][j], d, c + i * c_row + j * lanes);
  }
}

// R rows of c, all columns.
template <int R, bool add>
HWY_INLINE void strip(int64_t columns, int64_t depth, Left a, const float* b, int64_t b_row,
                      float* c, int64_t c_row) {
  // As many sums as registers hold, beside a row of b and a broadcast.
  constexpr int most = HWY_MAX_BYTES == 64 || HWY_ARCH_ARM_A64 ? 4 : 2;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  int64_t j = 0;
  for (; j + most * lanes <= columns; j += most * lanes) {
    tile<R, most, add>(depth, a, b + j, b_row, c + j, c_row);
  }
  for (; j < columns; j += lanes) tile<R, 1, add>(depth, a, b + j, b_row, c + j, c_row);
}

// c [rows, columns] = (c +) a b, over `depth`; columns a multiple of 16.
template <bool add>
void product(int64_t rows, int64_t columns, int64_t depth, Left a, const float* b, int64_t b_row,
             float* c, int64_t c_row) {
  int64_t i = 0;
  for (; i + 6 <= rows; i += 6) {
    strip<6, add>(columns, depth, a, b, b_row, c + i * c_row, c_row);
    a.data += 6 * a.row;
  }
  for (; i < rows; ++i) {
    strip<1, add>(columns, depth, a, b, b_row, c + i * c_row, c_row);
    a.data += a.row;
  }
}

// Rows of `size` elements, `stride` apart, times a factor, to rows of `row` floats.
template <typename T>
void pack(const T* from, int64_t stride, int64_t rows, int64_t size, float factor, float* to,
          int64_t row) {
  for (int64_t r = 0; r < rows; ++r) {
    for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(load(d, from + r * stride + i), hn::Set(d, factor)), d, to + r * row + i);
    });
    std::fill(to + r * row + size, to + (r + 1) * row, 0.0f);
  }
}

// The transpose, in rows of `row` floats.
template <typename T>
void pack_transposed(const T* from, int64_t stride, int64_t rows, int64_t size, float* to,
                     int64_t row) {
  constexpr int64_t band = 8;  // lines of `to` that are written at a time
  for (int64_t begin = 0; begin < size; begin += band) {
    const int64_t end = std::min(size, begin + band);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = begin; i < end; ++i)
        to[i * row + r] = static_cast<float>(from[r * stride + i]);
    }
  }
  for (int64_t i = 0; i < size; ++i) std::fill(to + i * row + rows, to + (i + 1) * row, 0.0f);
}

template <typename T>
void unpack(const float* from, int64_t row, int64_t rows, int64_t size, float factor, T* to,
            int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(hn::LoadU(d, from + r * row + i), hn::Set(d, factor)), d, to + r * stride + i);
    });
  }
}

// x becomes exp(x - shift), n elements; their sum, in double.
HWY_INLINE double exponentiate(float* x, int64_t n, float shift) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(dd);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto e = exponential(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, shift)));
    hn::StoreU(e, d, x + i);
    sum = hn::Add(sum, hn::PromoteTo(dd, e));
  }
  double total = hn::GetLane(hn::SumOfLanes(dd, sum));
  for (; i < n; ++i) total += double{x[i] = std::exp(x[i] - shift)};
  return total;
}

template <typename T>
void attention_head(const AttentionOperands& a, const AttentionSizes& s, int64_t index,
                    float* scratch) {
  const int64_t sample = index / s.heads;
  T* y = a.y.head<T>(s, index);
  float* lse = a.lse + index * s.queries;

  Packed packed(scratch);
  float* queries = packed.take(s.query_floats());
  float* keys = packed.take(s.columns_floats());
  float* values = packed.take(s.key_floats());
  float* weights = packed.take(s.weights_floats());
  float* results = packed.take(s.results_floats());
  pack(a.q.head<T>(s, index), a.q.stride, s.queries, s.size, s.scale, queries, s.short_row);
  pack_transposed(a.k.head<T>(s, index), a.k.stride, s.keys, s.size, keys, s.long_row);
  pack(a.v.head<T>(s, index), a.v.stride, s.keys, s.size, 1.0f, values, s.short_row);

  for (int64_t first = 0; first < s.queries; first += s.block) {
    const int64_t rows = std::min(s.block, s.queries - first);
    product<false>(rows, s.long_row, s.size, {queries + first * s.short_row, s.short_row, 1}, keys,
                   s.long_row, weights, s.long_row);
    double sums[AttentionSizes::block];
    for (int64_t i = 0; i < rows; ++i) {
      float* row = weights + i * s.long_row;
      const int64_t seen = s.seen(sample, first + i);
      const float shift = largest(row, seen);
      sums[i] = exponentiate(row, seen, shift);
      std::fill(row + seen, row + s.keys, 0.0f);
      lse[first + i] = static_cast<float>(double{shift} + std::log(sums[i]));
    }
    product<false>(rows, s.short_row, s.keys, {weights, s.long_row, 1}, values, s.short_row,
                   results, s.short_row);
    for (int64_t i = 0; i < rows; ++i) {
      const float factor = sums[i] > 0 ? static_cast<float>(1 / sums[i]) : 0.0f;
      unpack(results + i * s.short_row, s.short_row, 1, s.size, factor,
             y + (first + i) * a.y.stride, a.y.stride);
    }
  }
}

// From the log-sums and s = scale q k^T in `weights`, dp = dy v^T in `slopes` and along =
// rowsum(dy y): weights become p = exp(s - lse), slopes p (dp - along), n elements.
HWY_INLINE void differentiate_row(float* weights, float* slopes, int64_t n, float lse,
                                  float along) {
  for_lanes(0, n, [&](auto d, int64_t i) HWY_ATTR {
    const auto p = exponential(d, hn::Sub(hn::LoadU(d, weights + i), hn::Set(d, lse)));
    const auto slope = hn::Sub(hn::LoadU(d, slopes + i), hn::Set(d, along));
    hn::StoreU(p, d, weights + i);
    hn::StoreU(hn::Mul(p, slope), d, slopes + i);
  });
}

template <typename T>
void attention_gradient_head(const AttentionOperands& a, const AttentionSizes& s, int64_t index,
                             float* scratch) {
  const int64_t sample = index / s.heads;
  const T* k = a.k.head<T>(s, index);
  const float* lse = a.lse + index * s.queries;
  T* dq = a.dq.head<T>(s, index);

  Packed packed(scratch);
  float* queries = packed.take(s.query_floats());
  float* keys = packed.take(s.key_floats());
  float* gradients = packed.take(s.query_floats());
  float* results = packed.take(s.query_floats());
  float* dkeys = packed.take(s.key_floats());
  float* dvalues = packed.take(s.key_floats());
  float* keys_transposed = packed.take(s.columns_floats());
  float* values_transposed = packed.take(s.columns_floats());
  float* weights = packed.take(s.weights_floats());
  float* slopes = packed.take(s.weights_floats());
  float* dqueries = packed.take(s.results_floats());
  pack(a.q.head<T>(s, index), a.q.stride, s.queries, s.size, s.scale, queries, s.short_row);
  pack(k, a.k.stride, s.keys, s.size, 1.0f, keys, s.short_row);
  pack(a.dy.head<T>(s, index), a.dy.stride, s.queries, s.size, 1.0f, gradients, s.short_row);
  pack(a.y.head<T>(s, index), a.y.stride, s.queries, s.size, 1.0f, results, s.short_row);
  pack_transposed(k, a.k.stride, s.keys, s.size, keys_transposed, s.long_row);
  pack_transposed(a.v.head<T>(s, index), a.v.stride, s.keys, s.size, values_transposed, s.long_row);
  std::fill_n(dkeys, s.key_floats(), 0.0f);
  std::fill_n(dvalues, s.key_floats(), 0.0f);

  for (int64_t first = 0; first < s.queries; first += s.block) {
    const int64_t rows = std::min(s.block, s.queries - first);
    const float* own_queries = queries + first * s.short_row;
    const float* own_gradients = gradients + first * s.short_row;
    product<false>(rows, s.long_row, s.size, {own_queries, s.short_row, 1}, keys_transposed,
                   s.long_row, weights, s.long_row);
    product<false>(rows, s.long_row, s.size, {own_gradients, s.short_row, 1}, values_transposed,
                   s.long_row, slopes, s.long_row);
    for (int64_t i = 0; i < rows; ++i) {
      const float* g = own_gradients + i * s.short_row;
      const float* r = results + (first + i) * s.short_row;
      double along = 0;
      for (int64_t d = 0; d < s.size; ++d) along += double{g[d]} * double{r[d]};
      float* row = weights + i * s.long_row;
      float* slope = slopes + i * s.long_row;
      const int64_t seen = s.seen(sample, first + i);
      differentiate_row(row, slope, seen, lse[first + i], static_cast<float>(along));
      std::fill(row + seen, row + s.keys, 0.0f);
      std::fill(slope + seen, slope + s.keys, 0.0f);
    }
    // Queries carry the scale already: so does dk.
    product<true>(s.keys, s.short_row, rows, {weights, 1, s.long_row}, own_gradients, s.short_row,
                  dvalues, s.short_row);
    product<true>(s.keys, s.short_row, rows, {slopes, 1, s.long_row}, own_queries, s.short_row,
                  dkeys, s.short_row);
    product<false>(rows, s.short_row, s.keys, {slopes, s.long_row, 1}, keys, s.short_row, dqueries,
                   s.short_row);
    unpack(dqueries, s.short_row, rows, s.size, s.scale, dq + first * a.dq.stride, a.dq.stride);
  }
  unpack(dkeys, s.short_row, s.keys, s.size, 1.0f, a.dk.head<T>(s, index), a.dk.stride);
  unpack(dvalues, s.short_row, s.keys, s.size, 1.0f, a.dv.head<T>(s, index), a.dv.stride);
}

void attention_heads(const AttentionOperands& a, const AttentionSizes& s, DType dtype,
                     int64_t begin, int64_t end, float* scratch) {
  with_type(dtype, [&](auto type) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) attention_head<decltype(type)>(a, s, i, scratch);
  });
}

void attention_gradient_heads(const AttentionOperands& a, const AttentionSizes& s, DType dtype,
                              int64_t begin, int64_t end, float* scratch) {
  with_type(dtype, [&](auto type) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) attention_gradient_head<decltype(type)>(a, s, i, scratch);
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(attention_heads);
HWY_EXPORT(attention_gradient_heads);

namespace {

using Heads = void (*)(const AttentionOperands&, const AttentionSizes&, DType, int64_t, int64_t,
                       float*);

// The heads of all samples, shared by the threads, each with `floats` of scratch.
void for_heads(const Call& call, const AttentionOperands& a, const AttentionSizes& s,
               int64_t floats, Heads heads) {
  const int64_t count = s.samples * s.heads;
  const int parts = parts_of(threads_of(call), count, grain_of(4 * floats));
  auto* scratch = static_cast<float*>(
      call.context.scratch(static_cast<size_t>(parts * floats) * sizeof(float)));
  for_parts(parts, [&](int part) {
    heads(a, s, call.in[0].dtype, part_begin(count, part, parts),
          part_begin(count, part + 1, parts), scratch + part * floats);
  });
}

AttentionTokens tokens_of(const View& view) { return {view.data, view.shape[1], view.shape[2]}; }

// Queries, keys or values of [B, L, 3 H D].
AttentionTokens third_of(const View& packed, int64_t which) {
  AttentionTokens tokens = tokens_of(packed);
  tokens.data = static_cast<std::byte*>(packed.data) +
                static_cast<size_t>(tokens.stride / 3 * which) * size_of(packed.dtype);
  return tokens;
}

AttentionSizes self_sizes(const Call& call, const View& qkv) {
  const auto attributes = call.attributes.as<Attention>();
  const Shape& shape = qkv.shape;
  return {shape[0],        attributes.heads, shape[1], shape[1], shape[2] / (3 * attributes.heads),
          attributes.scale};
}

void attention(const Call& call) {
  const View& qkv = call.in[0];
  const AttentionSizes s = self_sizes(call, qkv);
  for_heads(call,
            {third_of(qkv, 0), third_of(qkv, 1), third_of(qkv, 2), tokens_of(call.out[0]),
             call.out[1].as<float>()},
            s, s.forward_floats(), HWY_DYNAMIC_DISPATCH(attention_heads));
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const View& qkv = call.in[Operand::qkv];
  const View& dqkv = call.out[Operand::dqkv];
  const AttentionSizes s = self_sizes(call, qkv);
  for_heads(call,
            {third_of(qkv, 0), third_of(qkv, 1), third_of(qkv, 2), tokens_of(call.in[Operand::y]),
             call.in[Operand::lse].as<float>(), tokens_of(call.in[Operand::dy]), third_of(dqkv, 0),
             third_of(dqkv, 1), third_of(dqkv, 2)},
            s, s.backward_floats(), HWY_DYNAMIC_DISPATCH(attention_gradient_heads));
}

AttentionSizes cross_sizes(const Call& call, const View& q, const View& k, size_t lengths) {
  const auto attributes = call.attributes.as<CrossAttention>();
  AttentionSizes s(q.shape[0], attributes.heads, q.shape[1], k.shape[1],
                   q.shape[2] / attributes.heads, attributes.scale);
  s.causal = attributes.causal != 0;
  if (attributes.lengths != 0) s.lengths = call.in[lengths].as<int64_t>();
  return s;
}

void cross_attention(const Call& call) {
  using Operand = operands::CrossAttention;
  const View& q = call.in[Operand::q];
  const View& k = call.in[Operand::k];
  const AttentionSizes s = cross_sizes(call, q, k, Operand::lengths);
  for_heads(call,
            {tokens_of(q), tokens_of(k), tokens_of(call.in[Operand::v]),
             tokens_of(call.out[Operand::y]), call.out[Operand::lse].as<float>()},
            s, s.forward_floats(), HWY_DYNAMIC_DISPATCH(attention_heads));
}

void cross_attention_gradient(const Call& call) {
  using Operand = operands::CrossAttentionGradient;
  const View& q = call.in[Operand::q];
  const View& k = call.in[Operand::k];
  const AttentionSizes s = cross_sizes(call, q, k, Operand::lengths);
  for_heads(call,
            {tokens_of(q), tokens_of(k), tokens_of(call.in[Operand::v]),
             tokens_of(call.in[Operand::y]), call.in[Operand::lse].as<float>(),
             tokens_of(call.in[Operand::dy]), tokens_of(call.out[Operand::dq]),
             tokens_of(call.out[Operand::dk]), tokens_of(call.out[Operand::dv])},
            s, s.backward_floats(), HWY_DYNAMIC_DISPATCH(attention_gradient_heads));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"attention", {f32, bf16}, attention},
    KernelEntry{"attention_gradient", {f32, bf16}, attention_gradient},
    KernelEntry{"cross_attention", {f32, bf16}, cross_attention},
    KernelEntry{"cross_attention_gradient", {f32, bf16}, cross_attention_gradient},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
