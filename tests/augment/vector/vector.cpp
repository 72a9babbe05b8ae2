#include "augment/vector/vector.h"

#include <catch2/catch.hpp>
#include <map>
#include <numeric>

#include "augment/augmented.h"
#include "base/random.h"

using namespace lacuna;
using lacuna::test::augmented;

namespace {

constexpr int64_t features = 10, rows = 4;

// Feature d of marginal row r is 100 + 10 r + d; a sample's feature d is d.
FeatureFacts facts() {
  FeatureFacts all{std::vector<float>(features, 0), std::vector<float>(features, 1), {}};
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t d = 0; d < features; ++d)
      all.marginals.push_back(static_cast<float>(100 + 10 * r + d));
  return all;
}

std::vector<float> sample() {
  std::vector<float> values(features);
  std::iota(values.begin(), values.end(), 0.f);
  return values;
}

std::vector<std::vector<float>> views(const Augmentation& augmentation, uint64_t number) {
  return augmented(augmentation, sample(), {.seed = 1, .epoch = 0, .sample = number});
}

}  // namespace

TEST_CASE("vectors: each view has exactly the asked share of features from other samples") {
  const auto recipe = vector_views({features}, 3, {.corrupt = {0, 0.6}}, facts());
  std::map<size_t, int> chosen;
  std::map<float, int> values;
  constexpr int samples = 2000;
  for (uint64_t number = 0; number < samples; ++number) {
    const auto made = views(*recipe, number);
    CHECK(made[0] == sample());
    for (const size_t view : {1, 2}) {
      int corrupted = 0;
      for (size_t d = 0; d < features; ++d) {
        if (made[view][d] == static_cast<float>(d)) continue;
        ++corrupted;
        ++chosen[d];
        ++values[made[view][d]];
        // A value that this feature has in one of the marginals' samples.
        CHECK(static_cast<int>(made[view][d]) % 10 == static_cast<int>(d));
        CHECK(made[view][d] >= 100);
      }
      CHECK(corrupted == 6);
    }
    CHECK(made[1] != made[2]);
  }
  // Every feature, and every value of it, as often as any other: 2400 and 600 times each.
  for (const auto& [feature, count] : chosen) CHECK(count == Approx(2400).epsilon(0.06));
  CHECK(values.size() == features * rows);
  for (const auto& [value, count] : values) CHECK(count == Approx(600).epsilon(0.15));
}

TEST_CASE("vectors: a mask hides the exact number of features") {
  const auto masked = masked_vector({features}, {.corrupt = {0.5}, .mask = 0.25}, facts());
  REQUIRE(masked->outputs().size() == 3);
  for (uint64_t number = 0; number < 50; ++number) {
    const auto made = views(*masked, number);
    CHECK(made[0] != sample());
    CHECK(made[1] == sample());
    CHECK(std::accumulate(made[2].begin(), made[2].end(), 0.f) == 3);
  }
  CHECK(masked_vector({features}, {}, facts())->outputs().size() == 2);
}

TEST_CASE("vectors: features are normalised by their own mean and spread") {
  FeatureFacts own = facts();
  own.mean[3] = 1;
  own.std[3] = 4;
  const auto made = views(*plain_vector({features}, own), 0);
  CHECK(made[0][3] == 0.5f);
  CHECK(made[0][4] == 4.f);
}
