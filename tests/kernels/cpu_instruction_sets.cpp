// The vectorised kernels on every instruction set that was compiled and that this processor has.
#include <hwy/highway.h>

#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/layer_norm.h"
#include "kernels/rows.h"
#include "tests/kernels/cpu_support.h"

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

void compare_layer_norm() {
  const Shape shape{19, 43};
  const Operand x = random_operand(Kind::F, shape, 3);
  const Operand gamma = random_operand(Kind::P, {43}, 4);
  Job forward{"layer_norm",
              {x, gamma, random_operand(Kind::P, {43}, 5)},
              {{Kind::F, shape, {}}, {Kind::P, {19}, {}}, {Kind::P, {19}, {}}},
              LayerNormAttributes{1e-6}};
  compare(forward);
  for (double& value : forward.in[0].values) value = rounded_to(DType::bf16, value);
  const Results y = reference_results(forward);
  compare({"layer_norm_gradient",
           {random_operand(Kind::F, shape, 6),
            forward.in[0],
            {Kind::P, {19}, y[1]},
            {Kind::P, {19}, y[2]},
            gamma},
           {{Kind::F, shape, {}}, {Kind::P, {43}, {}}, {Kind::P, {43}, {}}},
           {}});
}

void compare_attention(int64_t tokens, int64_t heads, int64_t size) {
  const Shape packed{1, tokens, 3 * heads * size};
  const Shape shape{1, tokens, heads * size};
  const Shape rows{1, heads, tokens};
  const Attention attributes{0.3, heads};
  Job forward{"attention",
              {random_operand(Kind::F, packed, 7)},
              {{Kind::F, shape, {}}, {Kind::P, rows, {}}},
              attributes};
  compare(forward);
  for (double& value : forward.in[0].values) value = rounded_to(DType::bf16, value);
  const Results y = reference_results(forward);
  compare({"attention_gradient",
           {random_operand(Kind::F, shape, 8),
            forward.in[0],
            {Kind::F, shape, y[0]},
            {Kind::P, rows, y[1]}},
           {{Kind::F, packed, {}}},
           attributes});
}

void compare_of_transformers() {
  const Shape shape{37, 21};
  const Operand x = random_operand(Kind::F, shape, 1);
  const Operand y = random_operand(Kind::F, shape, 2);
  compare({"gelu", {x}, {{Kind::F, shape, {}}}, {}});
  compare({"gelu_gradient", {x, y}, {{Kind::F, shape, {}}}, {}});
  compare({"add_to_each", {x, random_operand(Kind::P, {21}, 9)}, {{Kind::F, shape, {}}}, {}});
  compare({"scale_rows", {x, random_operand(Kind::P, {37}, 9)}, {{Kind::F, shape, {}}}, {}});
  compare_layer_norm();
  compare_attention(55, 1, 17);
  compare_attention(49, 2, 64);
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
    ++tried;
  }
  CHECK(tried >= 1);
}

}  // namespace lacuna::test
