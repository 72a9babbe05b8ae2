#include "ops/token_cache.h"

#include <array>

#include "kernels/attention.h"
#include "kernels/token_cache.h"
#include "ops/attention.h"

namespace lacuna {

namespace {

const Operation merge_attention_operation = {.name = "merge_attention"};

// The log-sums of the rows that attention() leaves beside its result.
Tensor log_sums(const Tensor& y) { return {y.node(), operands::CrossAttention::lse}; }

}  // namespace

const Operation write_tokens_operation = {.name = "write_tokens"};

Tensor cached_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        const CachedAttention& cache) {
  LACUNA_CHECK(cache.lengths.defined(), "cached_attention on queries ", q.shape(),
               " without lengths");
  const Tensor kept =
      attention(q, cache.keys, cache.values, {.heads = cache.heads, .key_lengths = cache.lengths});
  const Tensor own = attention(q, k, v, {.heads = cache.heads, .causal = true});
  return record_one(merge_attention_operation, {kept, log_sums(kept), own, log_sums(own)},
                    {q.dtype(), q.shape()}, MergeAttention{cache.heads});
}

Update write_tokens(const Tensor& x, const Tensor& places, State& cache) {
  const Shape& shape = x.shape();
  LACUNA_CHECK(is_float(x.dtype()) && shape.rank() == 3 && cache.dtype() == x.dtype() &&
                   cache.shape().rank() == 3 && cache.shape()[0] == shape[0] &&
                   cache.shape()[2] == shape[2] && places.dtype() == DType::i64 &&
                   places.shape() == Shape{shape[0]},
               "write_tokens of ", name_of(x.dtype()), " ", shape, " at ", name_of(places.dtype()),
               " ", places.shape(), " to ", name_of(cache.dtype()), " ", cache.shape());
  return {&write_tokens_operation, {x, places}, {&cache}, {}};
}

std::span<const Operation* const> token_cache_operations() {
  static constexpr std::array all = {&merge_attention_operation, &write_tokens_operation};
  return all;
}

}  // namespace lacuna
