// Recipes of samples of several parts.
#include <catch2/catch.hpp>

#include "data/load/recipe.h"

namespace lacuna {
namespace {

// Fields "value", twice the stored number, and "seed".
class Doubled final : public Recipe {
 public:
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch&) const override {
    *static_cast<float*>(to[0]) = 2 * *static_cast<const float*>(stored[0].data);
    *static_cast<int64_t*>(to[1]) = static_cast<int64_t>(key.seed);
  }

 private:
  std::vector<OutputField> outputs_ = {{"value", {}, DType::f32}, {"seed", {}, DType::i64}};
};

}  // namespace

TEST_CASE("joined recipe: each part is made of its own field with draws of its own") {
  const auto doubled = std::make_shared<Doubled>();
  const RecipePointer all = joined(doubled, {{"paired", doubled}, {"third", doubled}});
  std::vector<std::string> names;
  for (const OutputField& field : all->outputs()) names.push_back(field.name);
  CHECK(names == std::vector<std::string>{"value", "seed", "paired.value", "paired.seed",
                                          "third.value", "third.seed"});
  const float numbers[4] = {1, 10, 100, 1000};  // the last is a label's
  std::vector<Extent> stored;
  for (const float& number : numbers) stored.push_back({&number});
  float values[3];
  int64_t seeds[3];
  std::vector<void*> to;
  for (int part = 0; part < 3; ++part) to.insert(to.end(), {&values[part], &seeds[part]});
  Scratch scratch;
  all->make(stored, {5, 0, 7}, to, scratch);
  CHECK(values[0] == 2);
  CHECK(values[1] == 20);
  CHECK(values[2] == 200);
  CHECK(seeds[0] == 5);
  CHECK(seeds[1] == static_cast<int64_t>(stream_seed(5, "paired")));
  CHECK(seeds[2] == static_cast<int64_t>(stream_seed(5, "third")));
}

}  // namespace lacuna
