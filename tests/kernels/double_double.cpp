#include "kernels/double_double.h"

#include <catch2/catch.hpp>

namespace lacuna::test {

TEST_CASE("sums in twice double's precision keep what double loses") {
  DoubleDouble sum;
  for (const double term : {1.0, 1e-6, 1e16, 3e-6, -1e16, -1.0}) sum.add(term);
  CHECK(sum.value() == Approx(4e-6).epsilon(1e-9));
  // (1 + 2^-30)^2 = 1 + 2^-29 + 2^-60, of which double keeps the first two terms.
  DoubleDouble product;
  product.add_product(1 + 0x1p-30, 1 + 0x1p-30);
  product.add(-1);
  product.add(-0x1p-29);
  CHECK(product.value() == 0x1p-60);
  DoubleDouble both{1, 0x1p-60};
  both.add({-1, 0x1p-61});
  CHECK(both.value() == 0x1.8p-60);
}

}  // namespace lacuna::test
