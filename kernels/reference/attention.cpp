#include "kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// The tokens of one head of one sample: what begins at `x`, `stride` elements from one to the next.
struct Tokens {
  double* x;
  int64_t count, stride;
  double* operator[](int64_t token) const { return x + token * stride; }
};

// How the heads of all samples lie in tensors [B, tokens, stride], from element `offset` of each
// token on.
struct Layout {
  double* x;
  int64_t tokens, stride, offset;

  explicit Layout(const View& view)
      : x(view.as<double>()), tokens(view.shape[1]), stride(view.shape[2]), offset(0) {}
  // A third of [B, tokens, 3 H D].
  Layout(const View& packed, int64_t third) : Layout(packed) { offset = stride / 3 * third; }
  Tokens head(int64_t sample, int64_t number, int64_t size) const {
    return {x + sample * tokens * stride + offset + number * size, tokens, stride};
  }
};

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

struct Problem {
  int64_t samples, heads, size;  // B, H, D
  double scale;
  bool causal;
  const int64_t* lengths;  // of the keys of each sample; nullptr: all

  // f(tokens of each layout…, rows of lse, keys that query i sees) of each head of each sample.
  template <typename Body>
  void for_heads(int64_t queries, int64_t keys, const Body& body) const {
    for (int64_t sample = 0; sample < samples; ++sample) {
      const auto seen = [&](int64_t query) {
        return keys_seen(query, queries, keys, causal, lengths ? lengths[sample] : keys);
      };
      for (int64_t head = 0; head < heads; ++head)
        body(sample, head, (sample * heads + head) * queries, seen);
    }
  }
};

void attend(const Problem& p, const Layout& q, const Layout& k, const Layout& v, const Layout& y,
            double* lse) {
  p.for_heads(q.tokens, k.tokens, [&](int64_t sample, int64_t head, int64_t row, const auto& seen) {
    const Tokens of_q = q.head(sample, head, p.size);
    const Tokens of_k = k.head(sample, head, p.size);
    const Tokens of_v = v.head(sample, head, p.size);
    const Tokens of_y = y.head(sample, head, p.size);
    for (int64_t i = 0; i < q.tokens; ++i) {
      std::vector<double> weights(static_cast<size_t>(seen(i)));
      for (size_t j = 0; j < weights.size(); ++j)
        weights[j] = p.scale * dot(of_q[i], of_k[static_cast<int64_t>(j)], p.size);
      const double most =
          weights.empty() ? -INFINITY : *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - most);
      std::fill_n(of_y[i], p.size, 0.0);
      for (size_t j = 0; j < weights.size(); ++j)
        for (int64_t d = 0; d < p.size; ++d)
          of_y[i][d] += weights[j] / sum * of_v[static_cast<int64_t>(j)][d];
      lse[row + i] = most + std::log(sum);
    }
  });
}

struct Gradients {
  Layout dq, dk, dv;
};

void attend_backward(const Problem& p, const Layout& dy, const Layout& q, const Layout& k,
                     const Layout& v, const Layout& y, const double* lse, const Gradients& to) {
  p.for_heads(q.tokens, k.tokens, [&](int64_t sample, int64_t head, int64_t row, const auto& seen) {
    const auto of = [&](const Layout& layout) { return layout.head(sample, head, p.size); };
    const Tokens of_q = of(q), of_k = of(k), of_v = of(v), of_y = of(y), of_dy = of(dy);
    const Tokens dq = of(to.dq), dk = of(to.dk), dv = of(to.dv);
    for (int64_t i = 0; i < q.tokens; ++i) {
      const double along = dot(of_dy[i], of_y[i], p.size);
      for (int64_t j = 0; j < seen(i); ++j) {
        const double weight = std::exp(p.scale * dot(of_q[i], of_k[j], p.size) - lse[row + i]);
        const double ds = weight * (dot(of_dy[i], of_v[j], p.size) - along);
        for (int64_t d = 0; d < p.size; ++d) {
          dq[i][d] += p.scale * ds * of_k[j][d];
          dk[j][d] += p.scale * ds * of_q[i][d];
          dv[j][d] += weight * of_dy[i][d];
        }
      }
    }
  });
}

Problem self_problem(const Call& call, const View& qkv) {
  const auto a = call.attributes.as<Attention>();
  return {qkv.shape[0], a.heads, qkv.shape[2] / (3 * a.heads), a.scale, false, nullptr};
}

void attention(const Call& call) {
  const View& qkv = call.in[0];
  attend(self_problem(call, qkv), {qkv, 0}, {qkv, 1}, {qkv, 2}, Layout(call.out[0]),
         call.out[1].as<double>());
}

void clear(std::span<const View> views) {
  for (const View& view : views) std::fill_n(view.as<double>(), view.count(), 0.0);
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const View& qkv = call.in[Operand::qkv];
  const View& dqkv = call.out[Operand::dqkv];
  clear(call.out);
  attend_backward(self_problem(call, qkv), Layout(call.in[Operand::dy]), {qkv, 0}, {qkv, 1},
                  {qkv, 2}, Layout(call.in[Operand::y]), call.in[Operand::lse].as<double>(),
                  {{dqkv, 0}, {dqkv, 1}, {dqkv, 2}});
}

Problem cross_problem(const Call& call, const View& q, size_t lengths) {
  const auto a = call.attributes.as<CrossAttention>();
  return {q.shape[0], a.heads,       q.shape[2] / a.heads,
          a.scale,    a.causal != 0, a.lengths ? call.in[lengths].as<int64_t>() : nullptr};
}

void cross_attention(const Call& call) {
  using Operand = operands::CrossAttention;
  const View& q = call.in[Operand::q];
  attend(cross_problem(call, q, Operand::lengths), Layout(q), Layout(call.in[Operand::k]),
         Layout(call.in[Operand::v]), Layout(call.out[Operand::y]),
         call.out[Operand::lse].as<double>());
}

void cross_attention_gradient(const Call& call) {
  using Operand = operands::CrossAttentionGradient;
  const View& q = call.in[Operand::q];
  clear(call.out);
  attend_backward(cross_problem(call, q, Operand::lengths), Layout(call.in[Operand::dy]), Layout(q),
                  Layout(call.in[Operand::k]), Layout(call.in[Operand::v]),
                  Layout(call.in[Operand::y]), call.in[Operand::lse].as<double>(),
                  {Layout(call.out[Operand::dq]), Layout(call.out[Operand::dk]),
                   Layout(call.out[Operand::dv])});
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"attention", {f64}, attention},
    KernelEntry{"attention_gradient", {f64}, attention_gradient},
    KernelEntry{"cross_attention", {f64}, cross_attention},
    KernelEntry{"cross_attention_gradient", {f64}, cross_attention_gradient},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return table; }

}  // namespace lacuna::reference
