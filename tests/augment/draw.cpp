#include "augment/draw.h"

#include <catch2/catch.hpp>

using namespace lacuna;

TEST_CASE("portable exponential and logarithm agree with the library") {
  for (double x = -16; x <= 8; x += 0.0371) {
    CHECK(portable_exp(x) == Approx(std::exp(x)).epsilon(1e-11));
    if (std::abs(x) < 8) CHECK(portable_log(std::exp(x)) == Approx(x).margin(1e-10));
  }
}

TEST_CASE("detail of a draw keeps epoch view and transform apart") {
  CHECK(draw_detail(0, 0, 1) == 1);
  CHECK(draw_detail(0, 1, 0) == 64);
  CHECK(draw_detail(1, 0, 0) == 4096);
  CHECK(draw_detail(max_draw_epoch, max_draw_view, max_draw_transform) == 0xffffffffu);
}

TEST_CASE("draws of augmentation are the same on every machine") {
  const TransformDraws draws({42, 3, 1000000007}, 1, 5);
  // From an implementation in Python's integers and fractions.
  CHECK(draws.below(0, 1000000) == 700153);
  CHECK(draws.between(1, -2, 3) == 0x1.5210fb9bbdfe2p+1);
  CHECK(draws.between(2, 0, 1) == 0x1.876c5917b462ap-1);
  CHECK(portable_exp(0.7) == 0x1.01c2a61268997p+1);
  CHECK(portable_log(16.0 / 9) == 0x1.269621134dbc1p-1);
}
