// Every compiled form of the vector code that this processor can run, beside each other.
#include <hwy/highway.h>
#include <catch2/catch.hpp>

#include "augment/image/support.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

// Highway's choice, for as long as this lives.
class Chosen {
 public:
  explicit Chosen(int64_t target) { choose(target); }
  ~Chosen() { choose(0); }

 private:
  static void choose(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

}  // namespace

TEST_CASE("views agree between instruction sets") {
  for (const int64_t channels : {1, 3, 5}) {
    AugmentOptions options;
    options.size = 25;
    options.vertical_flip = options.turns = options.greyscale = 0.5;
    options.jitter[3] = channels == 3 ? 0.2 : 0;
    options.blur = options.solarise = {0.5};
    options.noise = 0.7;
    const Shape shape{30, 27, channels};
    const auto recipe = image_views(shape, 2, options, no_normalisation(channels));
    int compared = 0;
    for (uint64_t i = 0; i < 12; ++i) {
      const auto sample = byte_sample(shape, i);
      const auto rows = apply(*recipe, sample, {1, 0, i});
      for (const int64_t target : {int64_t{HWY_STATIC_TARGET}, int64_t{HWY_AVX2}}) {
        if ((hwy::SupportedTargets() & target) == 0) continue;
        const Chosen chosen(target);
        INFO(hwy::TargetName(target) << ", " << channels << " channels, sample " << i);
        const auto again = apply(*recipe, sample, {1, 0, i});
        CHECK(largest_difference(again[0], rows[0]) < 2e-5);
        CHECK(largest_difference(again[1], rows[1]) < 2e-5);
        ++compared;
      }
    }
    CHECK(compared >= 12);
  }
}
