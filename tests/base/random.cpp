// Philox4x32-10 against the known answers published with Random123 (kat_vectors).
#include "base/random.h"

#include <catch2/catch.hpp>

using namespace lacuna;

TEST_CASE("philox gives the published known answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) ==
        std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws have the moments of their distributions and no relation between streams") {
  const Draws a(1, Purpose::test, 7);
  const Draws b(1, Purpose::test, 8);
  double mean = 0, square = 0, product = 0, uniform = 0;
  constexpr int n = 20000;
  for (uint32_t i = 0; i < n; ++i) {
    mean += a.normal(i);
    square += a.normal(i) * a.normal(i);
    product += a.normal(i) * b.normal(i);
    uniform += a.uniform(i);
  }
  CHECK(std::abs(mean / n) < 0.03);
  CHECK(std::abs(square / n - 1) < 0.04);
  CHECK(std::abs(product / n) < 0.03);
  CHECK(std::abs(uniform / n - 0.5) < 0.01);
}
