#include "kernels/kernel.h"

#include <catch2/catch.hpp>

#include "kernels/elementwise.h"
#include "kernels/optimizers.h"
#include "support/death.h"

namespace lacuna::test {

TEST_CASE("attributes are read as what they were written as", "[ops]") {
  const Attributes attributes = Scale{3};
  CHECK(attributes.as<Scale>().factor == 3);
  CHECK_THAT(death_message([&] { attributes.as<ClipFactor>(); }),  // of the same size
             Catch::Contains("attributes of another operation"));
  CHECK_THAT(death_message([] { Attributes().as<Scale>(); }),
             Catch::Contains("attributes of another operation"));
}

TEST_CASE("a table finds the kernel of an operation and a type", "[ops]") {
  const auto first = [](const Call&) {};
  const auto second = [](const Call&) { throw 1; };
  const KernelEntry table[] = {{"relu", {DType::f32, DType::bf16}, first},
                               {"relu", {DType::f64}, second}};
  CHECK(find_kernel(table, "relu", DType::bf16) == table[0].kernel);
  CHECK(find_kernel(table, "relu", DType::f64) == table[1].kernel);
  CHECK(find_kernel(table, "relu", DType::f16) == nullptr);
  CHECK(find_kernel(table, "gelu", DType::f32) == nullptr);
}

}  // namespace lacuna::test
