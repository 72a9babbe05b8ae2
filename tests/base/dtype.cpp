// Narrow floats against what IEEE 754 says of them.
#include "base/dtype.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace lacuna;

namespace {

float half(unsigned bits) {
  Float16 value;
  value.bits = static_cast<uint16_t>(bits);
  return static_cast<float>(value);
}

}  // namespace

TEST_CASE("half precision becomes float as IEEE 754 says") {
  CHECK(half(0x3c00) == 1.0f);
  CHECK(half(0xc000) == -2.0f);
  CHECK(half(0x7bff) == 65504.0f);
  CHECK(half(0x0400) == 0x1p-14f);
  CHECK(half(0x0001) == 0x1p-24f);
  CHECK(half(0x3555) == 0.333251953125f);
  CHECK(std::isinf(half(0x7c00)));
  CHECK(std::isnan(half(0x7e00)));
  CHECK(std::signbit(half(0x8000)));
}

// Every number, what lies half way to the next (which goes to the even one), and its neighbours.
TEST_CASE("float becomes half precision by rounding to nearest, ties to even") {
  for (unsigned bits = 0; bits < 0x7c00; ++bits) {
    const float here = half(bits);
    const float next = bits == 0x7bff ? 65536.f : half(bits + 1);
    const float middle = here + (next - here) / 2;  // exact: a float has more bits
    const unsigned even = bits % 2 == 0 ? bits : bits + 1;
    INFO(here);
    for (const unsigned sign : {0u, 0x8000u}) {
      const float s = sign == 0 ? 1.f : -1.f;
      REQUIRE(Float16(s * here).bits == (sign | bits));
      REQUIRE(Float16(s * middle).bits == (sign | even));
      REQUIRE(Float16(s * std::nextafter(middle, 0.f)).bits == (sign | bits));
      REQUIRE(Float16(s * std::nextafter(middle, 1e9f)).bits == (sign | (bits + 1)));
    }
  }
  CHECK(Float16(std::numeric_limits<float>::infinity()).bits == 0x7c00);
  CHECK(Float16(-std::numeric_limits<float>::max()).bits == 0xfc00);
  CHECK(std::isnan(static_cast<float>(Float16(std::nanf("")))));
}
