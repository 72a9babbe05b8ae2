#include "nn/token_cache.h"

#include <catch2/catch.hpp>

#include "backend/list.h"
#include "nn/transformer.h"
#include "ops/evaluate.h"
#include "support/death.h"
#include "support/separate_device.h"
#include "support/token_by_token.h"

using namespace lacuna;
using namespace lacuna::test;
using namespace lacuna::testing;
using namespace lacuna::test::ops;

TEST_CASE("a causal transformer token by token over a cache is that over all tokens") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  const TokenByTokenResult tokens = token_by_token(*device, DType::f64);
  CHECK(tokens.error < 1e-13);
  CHECK(tokens.plans == 1);
  const TokenByTokenResult prompted =
      token_by_token(*device, DType::f64, {.prompt = 7, .first_prompt = 7});
  CHECK(prompted.error < 1e-13);
  CHECK(prompted.plans == 2);
  // Of unequal prompts the shorter one is padded.
  CHECK(
      token_by_token(*device, DType::f64, {.sequences = 3, .prompt = 7, .first_prompt = 3}).error <
      1e-13);
}

TEST_CASE("a cache that is not written is noticed", "[fault]") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  CHECK(token_by_token(*device, DType::f64, {.forget = true}).error > 0.01);
}

TEST_CASE("a causal transformer over a cache on other devices", "[cpu]") {
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  SeparateDevice separate(1);
  const TokenByToken prompted{.sequences = 3, .prompt = 7, .first_prompt = 3};
  for (Device* device : {cpu.get(), static_cast<Device*>(&separate)}) {
    INFO(device->name());
    const TokenByTokenResult result = token_by_token(*device, DType::f32, prompted);
    CHECK(result.error < 1e-5);
    CHECK(result.plans == 2);
  }
  CHECK(token_by_token(*cpu, DType::bf16, prompted).error < 0.03);
}

TEST_CASE("a cache takes no more tokens than it has room for") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  StateStore store(*device);
  TokenCache cache(store, 2, 4);
  cache.begin(3);
  CHECK(compute(cache.places()) == std::vector<double>{0, 1, 2, 0, 1, 2});
  const std::vector<int64_t> counts = {3, 1};
  cache.end(counts);
  CHECK(cache.length(0) == 3);
  CHECK(cache.length(1) == 1);
  CHECK_THROWS_WITH(cache.begin(2),
                    "a sequence of 3 tokens goes on by 2, and 4 are the most that are kept of one: "
                    "ask for at most 1 more, or for a larger capacity");
  cache.begin(1);
  CHECK(compute(cache.places()) == std::vector<double>{3, 1});
  cache.end();
  CHECK_THROWS_WITH(cache.begin(1), Catch::Contains("at most 0 more"));
  cache.clear();
  CHECK(cache.length(0) == 0);
}

TEST_CASE("a block that sees what is to come takes no cache") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  StateStore store(*device);
  TokenCache cache(store, 1, 4);
  const TransformerBlock block(Scope(store, 1, "block"), 4, 2, 0.0);
  const std::unique_ptr<Communicator> alone = self_communicator();
  ForwardContext forward{.communicator = *alone,
                         .training = false,
                         .compute = DType::f64,
                         .parameters = DType::f64,
                         .rows = {1}};
  Leaves leaf;
  cache.begin(1);
  CHECK_THAT(death_message([&] {
               block(leaf(Shape{1, 1, 4}, {1, 2, 3, 4}), forward, &cache);
             }),
             Catch::Contains("block attends to tokens to come, and a cache has none"));
}
