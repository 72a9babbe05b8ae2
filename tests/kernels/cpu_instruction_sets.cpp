// The vectorised kernels on every instruction set that was compiled and that this processor has.
#include <hwy/highway.h>

#include "kernels/batch_norm.h"
#include "kernels/rows.h"
#include "tests/kernels/cpu_support.h"
#include "tests/kernels/winograd_support.h"

namespace lacuna::test {

namespace {

// Lets kernels see only one instruction set while it lives.
class OnlyTarget {
 public:
  explicit OnlyTarget(int64_t target) { set(target); }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;
  ~OnlyTarget() { set(0); }

 private:
  static void set(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

void compare_of_transformers() {
  const Shape shape{37, 21};
  const Operand x = random_operand(Kind::F, shape, 1);
  const Operand y = random_operand(Kind::F, shape, 2);
  compare({"gelu", {x}, {{Kind::F, shape, {}}}, {}});
  compare({"gelu_gradient", {x, y}, {{Kind::F, shape, {}}}, {}});
  compare({"add_to_each", {x, random_operand(Kind::P, {21}, 9)}, {{Kind::F, shape, {}}}, {}});
  compare({"scale_rows", {x, random_operand(Kind::P, {37}, 9)}, {{Kind::F, shape, {}}}, {}});
  compare_layer_norm({19, 43});
  compare_attention(1, 55, 1, 17);
  compare_attention(1, 49, 2, 64);
}

}  // namespace

TEST_CASE("CPU vectorised kernels agree with the reference on every instruction set") {
  const int64_t supported = hwy::SupportedTargets();
  int tried = 0;
  for (int64_t rest = supported; rest != 0; rest &= rest - 1) {
    const OnlyTarget only(rest & -rest);
    const Shape shape{37, 21};
    const Operand x = random_operand(Kind::F, shape, 1);
    const Operand y = random_operand(Kind::F, shape, 2);
    compare({"batch_norm_statistics", {x}, {{Kind::f64, {85}, {}}}, {}}, 1e-12);
    compare({"accumulate", {x, y}, {{Kind::F, shape, {}}}, {}});
    compare({"relu_gradient", {x, y}, {{Kind::F, shape, {}}}, {}});
    compare(
        {"normalize_rows", {x}, {{Kind::F, shape, {}}, {Kind::P, {37}, {}}}, NormalizeRows{1e-12}});
    compare_of_transformers();
    compare_winograd(convolution_3x3(3, 37, 21, 7, 9));
    compare_winograd(convolution_3x3(2, 140, 80, 4, 5, 0));
    ++tried;
  }
  CHECK(tried >= 1);
}

}  // namespace lacuna::test
