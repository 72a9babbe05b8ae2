// Parts of transformers, on sequences of tokens [B, L, D]. Names of parameters are timm's.
#pragma once

#include "nn/layers.h"
#include "nn/token_cache.h"

namespace lacuna {

// Normalisation of each token over its features (epsilon 1e-6, as ViT and MAE have it).
class LayerNorm {
 public:
  LayerNorm(Scope scope, int64_t features);
  Tensor operator()(const Tensor& x) const;

 private:
  State& weight_;
  State& bias_;
};

// Stochastic depth (Huang et al. 2016, "Deep networks with stochastic depth"): each sample's x [B,
// ..] becomes zeros with probability `rate`, else x / (1 - rate); x itself when evaluating. Draws
// belong to (seed, epoch, sample, view, call), so they are the same on any number of ranks and
// after a restart.
Tensor stochastic_depth(const Tensor& x, double rate, ForwardContext& forward);

// Self-attention and a perceptron of four times the width, each normalised before and added to its
// input (Dosovitskiy et al. 2021, eq. 2 and 3); either is left out by stochastic depth. In a causal
// block a token attends to itself and those before it alone; then x may be the tokens behind those
// that a cache keeps.
class TransformerBlock {
 public:
  TransformerBlock(Scope scope, int64_t features, int64_t heads, double drop_path,
                   bool causal = false);
  Tensor operator()(const Tensor& x, ForwardContext& forward, TokenCache* cache = nullptr) const;

 private:
  Tensor attended(const Tensor& qkv, ForwardContext& forward, TokenCache* cache) const;

  std::string name_;  // of the block, for its part of a cache
  bool causal_;
  int64_t heads_;
  double drop_path_;
  LayerNorm norm1_;
  Linear qkv_;
  Linear projection_;
  LayerNorm norm2_;
  Linear fc1_;
  Linear fc2_;
};

}  // namespace lacuna
