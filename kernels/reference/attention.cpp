#include "kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// One head of one sample within the packed tensors.
struct Head {
  int64_t tokens, size;          // L, D
  int64_t packed, width;         // elements between tokens of qkv and of y
  int64_t in_qkv, in_y, in_lse;  // offsets
  const double *q, *k, *v;

  Head(const View& qkv, int64_t heads, int64_t sample, int64_t head)
      : tokens(qkv.shape[1]),
        size(qkv.shape[2] / (3 * heads)),
        packed(qkv.shape[2]),
        width(heads * size),
        in_qkv(sample * tokens * packed + head * size),
        in_y(sample * tokens * width + head * size),
        in_lse((sample * heads + head) * tokens),
        q(qkv.as<double>() + in_qkv),
        k(q + width),
        v(k + width) {}
};

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <typename Body>
void for_heads(const Call& call, const View& qkv, const Body& body) {
  const int64_t heads = call.attributes.as<Attention>().heads;
  for (int64_t sample = 0; sample < qkv.shape[0]; ++sample) {
    for (int64_t head = 0; head < heads; ++head) body(Head(qkv, heads, sample, head));
  }
}

void attention(const Call& call) {
  const double scale = call.attributes.as<Attention>().scale;
  for_heads(call, call.in[0], [&](const Head& h) {
    std::vector<double> weights(static_cast<size_t>(h.tokens));
    for (int64_t i = 0; i < h.tokens; ++i) {
      for (int64_t j = 0; j < h.tokens; ++j) {
        weights[static_cast<size_t>(j)] =
            scale * dot(h.q + i * h.packed, h.k + j * h.packed, h.size);
      }
      const double most = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - most);
      double* y = call.out[0].as<double>() + h.in_y + i * h.width;
      std::fill_n(y, h.size, 0.0);
      for (int64_t j = 0; j < h.tokens; ++j) {
        const double p = weights[static_cast<size_t>(j)] / sum;
        for (int64_t d = 0; d < h.size; ++d) y[d] += p * h.v[j * h.packed + d];
      }
      call.out[1].as<double>()[h.in_lse + i] = most + std::log(sum);
    }
  });
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const double scale = call.attributes.as<Attention>().scale;
  std::fill_n(call.out[Operand::dqkv].as<double>(), call.out[Operand::dqkv].count(), 0.0);
  for_heads(call, call.in[Operand::qkv], [&](const Head& h) {
    double* dq = call.out[Operand::dqkv].as<double>() + h.in_qkv;
    double* dk = dq + h.width;
    double* dv = dk + h.width;
    for (int64_t i = 0; i < h.tokens; ++i) {
      const double* dy = call.in[Operand::dy].as<double>() + h.in_y + i * h.width;
      const double* y = call.in[Operand::y].as<double>() + h.in_y + i * h.width;
      const double lse = call.in[Operand::lse].as<double>()[h.in_lse + i];
      const double along = dot(dy, y, h.size);
      for (int64_t j = 0; j < h.tokens; ++j) {
        const double* q = h.q + i * h.packed;
        const double* k = h.k + j * h.packed;
        const double p = std::exp(scale * dot(q, k, h.size) - lse);
        const double ds = p * (dot(dy, h.v + j * h.packed, h.size) - along);
        for (int64_t d = 0; d < h.size; ++d) {
          dq[i * h.packed + d] += scale * ds * k[d];
          dk[j * h.packed + d] += scale * ds * q[d];
          dv[j * h.packed + d] += p * dy[d];
        }
      }
    }
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"attention", {f64}, attention},
    KernelEntry{"attention_gradient", {f64}, attention_gradient},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return table; }

}  // namespace lacuna::reference
