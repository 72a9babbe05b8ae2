#include "support/token_by_token.h"

#include <algorithm>

#include "graph/executor.h"
#include "nn/embedding.h"
#include "nn/transformer.h"
#include "ops/case.h"
#include "ops/elementwise.h"

namespace lacuna::testing {

namespace {

constexpr int64_t vocabulary = 11;
constexpr int64_t features = 16;

struct Model {
  Embedding words, positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;

  Model(Scope scope, int64_t length)
      : words(scope / "words", vocabulary, features),
        positions(scope / "positions", length, features),
        norm(scope / "norm", features),
        head(scope / "head", features, vocabulary) {
    for (int i = 0; i < 2; ++i)
      blocks.emplace_back(scope / concat("blocks.", i), features, 2, 0.0, true);
  }
  // ids and places i64 [B, M] -> logits [B, M, vocabulary].
  Tensor operator()(const Tensor& ids, const Tensor& places, ForwardContext& forward,
                    TokenCache* cache) const {
    Tensor x = add(words(ids, forward), positions(places, forward));
    for (const TransformerBlock& block : blocks) x = block(x, forward, cache);
    return head(norm(x), forward);
  }
};

HostTensor drawn_ids(const Shape& shape) {
  HostTensor ids(DType::i64, shape);
  const Draws draws(3, Purpose::test, 0);
  for (size_t i = 0; i < ids.as<int64_t>().size(); ++i)
    ids.as<int64_t>()[i] = static_cast<int64_t>(draws.below(static_cast<uint32_t>(i), vocabulary));
  return ids;
}

class Run {
 public:
  Run(Device& device, DType compute, const TokenByToken& how)
      : device_(device),
        compute_(compute),
        how_(how),
        parameters_(device),
        model_(Scope(parameters_, 5), capacity()),
        ids_(drawn_ids(Shape{how.sequences, how.tokens})) {}

  // [B, L, vocabulary]
  std::vector<double> at_once() {
    HostTensor places(DType::i64, ids_.shape());
    for (int64_t i = 0; i < ids_.shape().count(); ++i)
      places.as<int64_t>()[static_cast<size_t>(i)] = i % how_.tokens;
    ForwardContext forward = this->forward();
    Executor executor(device_);
    executor.run({model_(host_leaf("ids", ids_), host_leaf("places", places), forward, nullptr)});
    return test::ops::to_doubles(executor.output(0));
  }

  std::vector<double> over_cache(size_t& plans) {
    StateStore kept(device_);
    TokenCache cache(kept, how_.sequences, capacity());
    Executor executor(device_);
    std::vector<double> logits(static_cast<size_t>(ids_.shape().count() * vocabulary));
    for (int64_t count = how_.prompt; !is_done(cache); count = 1) {
      cache.begin(count);
      const HostTensor ids = next_ids(cache, count);
      ForwardContext forward = this->forward();
      const Tensor y = model_(host_leaf("ids", ids), cache.places(), forward, &cache);
      executor.run({y}, how_.forget ? std::vector<Update>{} : forward.updates);
      const std::vector<int64_t> counts = counts_of(cache, count);
      put(test::ops::to_doubles(executor.output(0)), cache, count, counts, logits);
      cache.end(counts);
    }
    plans = executor.plan_count();
    return logits;
  }

 private:
  ForwardContext forward() {
    return {.communicator = *alone_,
            .training = false,
            .compute = compute_,
            .parameters = device_.parameter_dtype(),
            .rows = {how_.sequences}};
  }
  // The sequences that are done go on with padding.
  int64_t capacity() const { return how_.tokens + how_.prompt; }
  bool is_done(const TokenCache& cache) const {
    for (int64_t s = 0; s < how_.sequences; ++s)
      if (cache.length(s) < how_.tokens) return false;
    return true;
  }
  HostTensor next_ids(const TokenCache& cache, int64_t count) const {
    HostTensor ids(DType::i64, Shape{how_.sequences, count});
    for (int64_t i = 0; i < ids.shape().count(); ++i) {
      const int64_t sequence = i / count;
      const int64_t place = cache.length(sequence) + i % count;
      ids.as<int64_t>()[static_cast<size_t>(i)] =
          place < how_.tokens
              ? ids_.as<int64_t>()[static_cast<size_t>(sequence * how_.tokens + place)]
              : 0;
    }
    return ids;
  }
  // Of a pass over `count` tokens: how many of each sequence are its own.
  std::vector<int64_t> counts_of(const TokenCache& cache, int64_t count) const {
    std::vector<int64_t> counts;
    for (int64_t s = 0; s < how_.sequences; ++s) {
      const int64_t own = s == 0 && cache.length(0) == 0 ? how_.first_prompt : count;
      counts.push_back(std::min(own, how_.tokens - cache.length(s)));
    }
    return counts;
  }
  void put(const std::vector<double>& some, const TokenCache& cache, int64_t count,
           const std::vector<int64_t>& counts, std::vector<double>& all) const {
    for (int64_t s = 0; s < how_.sequences; ++s) {
      const int64_t to = s * how_.tokens + cache.length(s);
      std::copy_n(some.begin() + s * count * vocabulary,
                  counts[static_cast<size_t>(s)] * vocabulary, all.begin() + to * vocabulary);
    }
  }

  Device& device_;
  DType compute_;
  TokenByToken how_;
  StateStore parameters_;
  Model model_;
  HostTensor ids_;
  std::unique_ptr<Communicator> alone_ = self_communicator();
};

}  // namespace

TokenByTokenResult token_by_token(Device& device, DType compute, const TokenByToken& how) {
  Run run(device, compute, how);
  TokenByTokenResult result;
  const std::vector<double> expected = run.at_once();
  result.error = test::ops::relative_error(run.over_cache(result.plans), expected);
  return result;
}

}  // namespace lacuna::testing
