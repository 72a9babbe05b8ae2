// Encoder: from a batch of samples to representations. One file per family of architectures;
// encoders/list.h names them.
#pragma once

#include <functional>
#include <memory>

#include "config/configuration.h"
#include "graph/recording.h"
#include "nn/scope.h"

namespace lacuna {

class Encoder {
 public:
  virtual ~Encoder() = default;
  // x [B, spatial…, C] -> [B, features()].
  virtual Tensor operator()(const Tensor& x, Recording& recording) const = 0;
  // The features before pooling, [B, spatial…', features()], for dense outputs.
  virtual Tensor map(const Tensor& x, Recording& recording) const = 0;
  virtual int64_t features() const = 0;
  // How many positions of the input one of map()'s covers along a spatial axis.
  virtual int64_t stride() const = 0;
};

// Makes an encoder of the configured architecture for samples of one shape ([H, W, C], [L, C], [D]) in
// a scope.
using EncoderFactory = std::function<std::unique_ptr<Encoder>(Scope)>;

}  // namespace lacuna
