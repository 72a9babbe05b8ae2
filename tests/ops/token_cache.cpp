#include "ops/token_cache.h"

#include <catch2/catch.hpp>

#include "backend/list.h"
#include "graph/executor.h"
#include "ops/attention.h"
#include "ops/case.h"
#include "ops/evaluate.h"
#include "ops/shape.h"
#include "ops/tokens.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

// 0 to `most` tokens that are kept of each sample.
Operand kept_lengths(int64_t samples, int64_t most) {
  return {Operand::Kind::labels, Shape{samples},
          [=](const Draws& draws, uint32_t i) {
            return i == 0 ? 0
                          : static_cast<double>(draws.below(i, static_cast<uint64_t>(most + 1)));
          },
          false};
}

Case cached_case(const std::string& name, const Shape& pass, int64_t capacity, int64_t heads) {
  const Shape cache{pass[0], capacity, pass[2]};
  const auto of = [](const Shape& shape) { return constant(activation(shape)); };
  return {"cached_attention " + name,
          {of(pass), of(pass), of(pass), of(cache), of(cache), kept_lengths(pass[0], capacity)},
          [=](const std::vector<Tensor>& x) {
            return cached_attention(x[0], x[1], x[2], {x[3], x[4], x[5], heads});
          },
          false};
}

}  // namespace

std::vector<Case> token_cache_cases() {
  return {
      cached_case("of a token", Shape{3, 1, 8}, 5, 2),
      cached_case("of some tokens", Shape{4, 3, 6}, 7, 3),
      cached_case("of many", Shape{5, 9, 192}, 130, 3),
  };
}

TEST_CASE("attention over a cache and a pass is the causal attention over both", "[ops]") {
  const Case test = cached_case("identity", Shape{1, 3, 8}, 7, 2);
  const auto values = operand_values(test, DType::f64);
  Leaves leaf;
  const Shape pass{1, 3, 8}, cache{1, 7, 8};
  const Tensor q = leaf(pass, values[0]), k = leaf(pass, values[1]), v = leaf(pass, values[2]);
  const Tensor keys = leaf(cache, values[3]), kept = leaf(cache, values[4]);
  for (const int64_t length : {0, 1, 4, 7}) {
    const auto both = [&](const Tensor& of_cache, const Tensor& of_pass) {
      const Tensor first = reshape(take_tokens(of_cache, 0, length), {length, 8});
      return reshape(concatenate({first, reshape(of_pass, {3, 8})}), {1, length + 3, 8});
    };
    const Tensor expected =
        attention(q, both(keys, k), both(kept, v), {.heads = 2, .causal = true});
    CHECK_CLOSE(compute(cached_attention(q, k, v, {keys, kept, leaf.labels({length}), 2})),
                compute(expected));
  }
}

TEST_CASE("tokens are written at each sample's place, and none outside the cache", "[ops][cpu]") {
  for (const char* name : {"reference", "cpu"}) {
    const std::unique_ptr<Device> device = make_device(name, 1);
    const DType dtype = device->parameter_dtype();
    State cache(*device, "cache", dtype, Shape{3, 4, 2}, Role::buffer);
    cache.fill([](int64_t i) { return static_cast<double>(i); });
    Leaves leaf;
    const Tensor x =
        leaf(Shape{3, 2, 2}, {100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111}, dtype);
    Executor executor(*device);
    executor.run({}, {write_tokens(x, leaf.labels({1, 3, -1}), cache)});
    CHECK(cache.values() == std::vector<double>{0,   1,   100, 101, 102, 103, 6,   7,    //
                                                8,   9,   10,  11,  12,  13,  104, 105,  //
                                                110, 111, 18,  19,  20,  21,  22,  23});
  }
}

TEST_CASE("writing to a cache refuses what does not fit", "[ops]") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  State cache(*device, "cache", DType::f64, Shape{2, 4, 2}, Role::buffer);
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 1, 2}, {1, 2});
  CHECK_THAT(
      death_message([&] { write_tokens(x, leaf.labels({0}), cache); }),
      Catch::Contains("write_tokens of float64 [1, 1, 2] at int64 [1] to float64 [2, 4, 2]"));
  CHECK_THAT(death_message([&] {
               cached_attention(x, x, x, {x, x, {}, 1});
             }),
             Catch::Contains("cached_attention on queries [1, 1, 2] without lengths"));
}

}  // namespace lacuna::test::ops
