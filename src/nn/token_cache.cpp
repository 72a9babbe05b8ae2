#include "nn/token_cache.h"

#include <algorithm>

#include "ops/token_cache.h"

namespace lacuna {

TokenCache::TokenCache(StateStore& store, int64_t sequences, int64_t capacity)
    : store_(store), capacity_(capacity), lengths_(DType::i64, Shape{sequences}) {
  LACUNA_CHECK(sequences > 0 && capacity > 0, "a cache of ", sequences, " sequences of ", capacity,
               " tokens");
  clear();
}

void TokenCache::begin(int64_t count) {
  LACUNA_CHECK(count > 0, "a pass over ", count, " tokens");
  const auto lengths = lengths_.as<int64_t>();
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest + count > capacity_) {
    bad_input("a sequence of ", longest, " tokens goes on by ", count, ", and ", capacity_,
              " are the most that are kept of one: ask for at most ", capacity_ - longest,
              " more, or for a larger capacity");
  }
  places_ = HostTensor(DType::i64, Shape{lengths_.shape()[0], count});
  for (size_t i = 0; i < places_.as<int64_t>().size(); ++i) {
    const auto width = static_cast<size_t>(count);
    places_.as<int64_t>()[i] = lengths[i / width] + static_cast<int64_t>(i % width);
  }
}

Tensor TokenCache::attend(const std::string& layer, const Tensor& q, const Tensor& k,
                          const Tensor& v, int64_t heads, ForwardContext& forward) {
  State& keys = state_of(concat("cache.", layer, ".keys"), k);
  State& values = state_of(concat("cache.", layer, ".values"), v);
  const Tensor lengths = host_leaf("cache_lengths", lengths_);
  forward.updates.push_back(write_tokens(k, lengths, keys));
  forward.updates.push_back(write_tokens(v, lengths, values));
  return cached_attention(q, k, v, {keys.tensor(), values.tensor(), lengths, heads});
}

void TokenCache::end() {
  const std::vector<int64_t> all(static_cast<size_t>(lengths_.shape()[0]), places_.shape()[1]);
  end(all);
}

void TokenCache::end(std::span<const int64_t> counts) {
  const auto lengths = lengths_.as<int64_t>();
  LACUNA_CHECK(counts.size() == lengths.size(), counts.size(), " counts of ", lengths.size(),
               " sequences");
  for (size_t i = 0; i < counts.size(); ++i) {
    LACUNA_CHECK(counts[i] >= 0 && counts[i] <= places_.shape()[1], "of a pass over ",
                 places_.shape()[1], " tokens ", counts[i], " count");
    lengths[i] += counts[i];
  }
}

void TokenCache::clear() { std::ranges::fill(lengths_.as<int64_t>(), 0); }

State& TokenCache::state_of(const std::string& name, const Tensor& x) {
  if (State* found = store_.find(name)) return *found;
  return store_.create(name, x.dtype(), {lengths_.shape()[0], capacity_, x.shape()[2]},
                       Role::buffer);
}

}  // namespace lacuna
