// What a causal transformer keeps of the tokens that it has seen, so that each is computed once:
// token by token in generation, window by window of a stream.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/host_tensor.h"
#include "graph/forward_context.h"
#include "graph/state.h"

namespace lacuna {

// Keys and values of every layer, of `sequences` side by side of at most `capacity` tokens each. A
// pass goes:
//
//   cache.begin(1);                                     // its tokens have places now
//   Tensor y = model(ids, cache.places(), forward, &cache);
//   executor.run({y}, forward.updates);               // writes what is to be kept
//   cache.end();
//
// Passes of as many tokens share a plan, however many are kept.
class TokenCache {
 public:
  // The State is made in `store` by the first pass ("cache.<layer>.keys"); it should be a store of
  // its own, since a checkpoint has no use for it. The store must outlive the cache.
  TokenCache(StateStore& store, int64_t sequences, int64_t capacity);

  // A pass over the next `count` tokens of each sequence; bad_input where one of them has no room
  // for so many.
  void begin(int64_t count);
  // Where the tokens of the pass stand, from 0 on: i64 [sequences, count].
  Tensor places() const { return host_leaf("places", places_); }
  // y F [sequences, count, H D] of a layer whose queries, keys and values of the pass these are
  // (cached_attention); recorded is that keys and values are kept. Each layer once a pass.
  Tensor attend(const std::string& layer, const Tensor& q, const Tensor& k, const Tensor& v,
                int64_t heads, ForwardContext& forward);
  // Once the pass has run. Of sequence s all its tokens count, or the first counts[s]: those behind
  // (padding of a shorter prompt, a guess that was wrong) are overwritten by the next pass.
  void end();
  void end(std::span<const int64_t> counts);
  // Sequences begin anew.
  void clear();

  int64_t length(int64_t sequence) const {
    return lengths_.as<int64_t>()[static_cast<size_t>(sequence)];
  }
  int64_t capacity() const { return capacity_; }

 private:
  State& state_of(const std::string& name, const Tensor& x);

  StateStore& store_;
  int64_t capacity_;
  HostTensor lengths_;  // i64 [sequences], before the pass
  HostTensor places_;   // i64 [sequences, count]
};

}  // namespace lacuna
