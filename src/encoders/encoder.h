// Encoder: from a batch of samples to representations. One file per family of architectures;
// encoders/list.h names them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "config/configuration.h"
#include "graph/forward_context.h"
#include "nn/fields.h"
#include "nn/scope.h"

namespace lacuna {

class Encoder {
 public:
  virtual ~Encoder() = default;
  // x [B, spatial…, C] -> [B, features()]. What does not count of x changes no bit of it. Only
  // encoders whose entry says so take a mask (encoders/list.h).
  virtual Tensor operator()(const Masked& x, ForwardContext& forward) const = 0;
  // The features before pooling, [B, spatial…', features()], for dense outputs, and which of these
  // positions count; those that do not are 0.
  virtual Masked map(const Masked& x, ForwardContext& forward) const = 0;
  virtual int64_t features() const = 0;
  // Its layers in depth, for learning rates that follow it: the first (embedding, stem) is 0, and
  // each block is one.
  virtual int64_t layers() const = 0;
  // Of a parameter, by its name in the encoder ("blocks.3.mlp.fc1.weight"): a number below
  // layers(), or layers() for what stands behind the last block (the final normalisation).
  virtual int64_t layer_of(std::string_view parameter) const = 0;
  // How many positions of the input one of map()'s covers along a spatial axis.
  virtual int64_t stride() const = 0;
};

// Makes an encoder of the configured architecture for samples of one shape ([H, W, C], [L, C], [D])
// in a scope.
using EncoderFactory = std::function<std::unique_ptr<Encoder>(Scope)>;

// The mean over the positions that count, [B, positions…, C] -> [B, C].
Tensor pooled(const Masked& x);

// The number behind `prefix` in the name of a parameter: 3 of "blocks.3.norm1.weight" behind
// "blocks."; none where the name does not begin so.
std::optional<int64_t> number_behind(std::string_view prefix, std::string_view parameter);

}  // namespace lacuna
