#include "nn/transformer.h"

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/layer_norm.h"
#include "ops/shape.h"
#include "ops/tokens.h"

namespace lacuna {

namespace {

// One third of packed queries, keys and values [B, L, 3 D] -> [B, L, D].
Tensor third(const Tensor& qkv, int64_t number) {
  const Shape& s = qkv.shape();
  const int64_t features = s[2] / 3;
  return reshape(take_tokens(reshape(qkv, {s[0] * s[1], 3, features}), number, 1),
                 {s[0], s[1], features});
}

}  // namespace

LayerNorm::LayerNorm(Scope scope, int64_t features)
    : weight_(scope.constant("weight", {features}, 1).name_axes("feature")),
      bias_(scope.constant("bias", {features}, 0).name_axes("feature")) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return layer_norm(x, weight_.tensor(), bias_.tensor(), 1e-6);
}

Tensor stochastic_depth(const Tensor& x, double rate, ForwardContext& forward) {
  if (rate == 0 || !forward.draws()) return x;
  const double kept = 1 / (1 - rate);
  return scale_rows(x, forward.per_row("stochastic_depth", Purpose::stochastic_depth,
                                       [=](double u) { return u < rate ? 0 : kept; }));
}

TransformerBlock::TransformerBlock(Scope scope, int64_t features, int64_t heads, double drop_path,
                                   bool causal)
    : name_(scope.prefix()),
      causal_(causal),
      heads_(heads),
      drop_path_(drop_path),
      norm1_(scope / "norm1", features),
      qkv_(scope / "attn.qkv", features, 3 * features),
      projection_(scope / "attn.proj", features, features),
      norm2_(scope / "norm2", features),
      fc1_(scope / "mlp.fc1", features, 4 * features),
      fc2_(scope / "mlp.fc2", 4 * features, features) {}

Tensor TransformerBlock::attended(const Tensor& qkv, ForwardContext& forward,
                                  TokenCache* cache) const {
  if (!causal_) {
    LACUNA_CHECK(cache == nullptr, name_, " attends to tokens to come, and a cache has none");
    return self_attention(qkv, heads_);
  }
  const Tensor q = third(qkv, 0), k = third(qkv, 1), v = third(qkv, 2);
  if (cache != nullptr) return cache->attend(name_, q, k, v, heads_, forward);
  return attention(q, k, v, {.heads = heads_, .causal = true});
}

Tensor TransformerBlock::operator()(const Tensor& x, ForwardContext& forward,
                                    TokenCache* cache) const {
  const auto add_branch = [&](const Tensor& to, const Linear& last, const Tensor& branch) {
    if (drop_path_ == 0 || !forward.draws()) return last.added(branch, to);
    return add(to, stochastic_depth(last(branch, forward), drop_path_, forward));
  };
  const Tensor seen = attended(qkv_(norm1_(x), forward), forward, cache);
  const Tensor y = add_branch(x, projection_, seen);
  return add_branch(y, fc2_, fc1_.gelu(norm2_(y)));
}

}  // namespace lacuna
