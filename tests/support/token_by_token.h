// A small causal transformer over a cache of tokens against the same over all tokens at once, on
// any device.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/device.h"

namespace lacuna::testing {

struct TokenByToken {
  int64_t sequences = 2;
  int64_t tokens = 50;       // of each sequence, the prompt included
  int64_t prompt = 1;        // of the first pass; the others are of one token
  int64_t first_prompt = 1;  // of the first sequence, the others of whose prompt are padding
  bool forget = false;       // a fault: nothing is written to the cache
};

struct TokenByTokenResult {
  double error = 0;  // relative, of all logits
  size_t plans = 0;  // of all passes over the cache
};

TokenByTokenResult token_by_token(Device& device, DType compute, const TokenByToken& how = {});

}  // namespace lacuna::testing
