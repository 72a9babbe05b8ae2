#include "ops/convolution.h"

#include <catch2/catch.hpp>

#include "kernels/convolution.h"
#include "ops/case.h"
#include "ops/evaluate.h"
#include "support/death.h"

namespace lacuna::test::ops {

namespace {

Case convolution_case(const std::string& name, const Shape& x, const Shape& w,
                      const ConvolutionOptions& options, bool bias = false, bool large = false) {
  std::vector<Operand> operands = {activation(x), parameter(w, 0.5)};
  if (bias) operands.push_back(parameter(Shape{w[0]}));
  return {"convolution " + name, operands,
          [=](const std::vector<Tensor>& t) {
            return convolution(t[0], t[1], bias ? t[2] : Tensor(), options);
          },
          true, large};
}

}  // namespace

std::vector<Case> convolution_cases() {
  return {
      convolution_case("3x3", Shape{2, 5, 4, 3}, Shape{2, 3, 3, 3}, {{1}, {1}}),
      convolution_case("3x3 with bias", Shape{1, 4, 5, 2}, Shape{3, 2, 3, 3}, {{1}, {1}}, true),
      convolution_case("3x3 of stride 2", Shape{2, 7, 6, 2}, Shape{3, 2, 3, 3}, {{2}, {1}}),
      convolution_case("1x1 of stride 2", Shape{2, 5, 4, 3}, Shape{4, 3, 1, 1}, {{2}, {0}}),
      convolution_case("7x7 of one channel", Shape{1, 9, 9, 1}, Shape{2, 1, 7, 7}, {{2}, {3}}),
      convolution_case("2x3 of two strides", Shape{2, 5, 8, 2}, Shape{2, 2, 2, 3},
                       {{1, 2}, {1, 0}}),
      convolution_case("that leaves one pixel", Shape{3, 3, 3, 2}, Shape{2, 2, 3, 3}, {}),
      convolution_case("over one axis", Shape{2, 9, 2}, Shape{3, 2, 4}, {{2}, {1}}, true),
      convolution_case("over three axes", Shape{1, 4, 3, 5, 2}, Shape{2, 2, 3, 2, 3},
                       {{1, 1, 2}, {1, 0, 1}}, true),
      convolution_case("of many channels", Shape{3, 9, 10, 32}, Shape{48, 32, 3, 3}, {{1}, {1}},
                       false, true),
      convolution_case("of many channels and stride 2", Shape{2, 11, 12, 17}, Shape{19, 17, 3, 3},
                       {{2}, {1}}, true, true),
      convolution_case("1x1 of many channels", Shape{5, 6, 7, 33}, Shape{18, 33, 1, 1}, {}, false,
                       true),
      convolution_case("stem", Shape{2, 16, 17, 3}, Shape{16, 3, 7, 7}, {{2}, {3}}, false, true),
      convolution_case("in two groups", Shape{2, 4, 5, 6}, Shape{4, 3, 3, 3}, {{1}, {1}, {1}, 2},
                       true),
      convolution_case("of each channel", Shape{2, 7, 3}, Shape{3, 1, 4}, {{1}, {2}, {1}, 3}),
      convolution_case("of each channel to two", Shape{1, 5, 4, 3}, Shape{6, 1, 3, 2},
                       {{2, 1}, {1, 0}, {1}, 3}),
      convolution_case("dilated", Shape{2, 8, 7, 2}, Shape{3, 2, 3, 2}, {{1}, {2, 1}, {2, 3}},
                       true),
      convolution_case("dilated over one axis, of stride 2", Shape{2, 13, 3}, Shape{2, 3, 3},
                       {{2}, {4}, {4}}),
      convolution_case("dilated in two groups over three axes", Shape{1, 4, 5, 5, 4},
                       Shape{2, 2, 2, 2, 3}, {{1}, {1}, {2, 1, 2}, 2}),
      convolution_case("of many channels in four groups", Shape{2, 9, 10, 64}, Shape{96, 16, 3, 3},
                       {{1}, {1}, {1}, 4}, false, true),
      convolution_case("of many channels, each by itself", Shape{2, 9, 10, 35}, Shape{35, 1, 3, 3},
                       {{1}, {1}, {1}, 35}, true, true),
      convolution_case("of many channels, dilated", Shape{2, 17, 18, 24}, Shape{40, 24, 3, 3},
                       {{1}, {2}, {2}}, false, true),
      // What devices without grouped kernels make of weights.
      {"block_diagonal",
       {parameter(Shape{6, 2, 3})},
       [](const auto& t) {
         return record_one(block_diagonal_operation, {t[0]}, {t[0].dtype(), Shape{6, 6, 3}},
                           Groups{3});
       }},
      {"convolution of no images in groups",
       {constant(activation(Shape{0, 5, 4})), constant(parameter(Shape{2, 2, 3}))},
       [](const auto& t) { return convolution(t[0], t[1], {}, {.groups = 2}); },
       false},
  };
}

TEST_CASE("convolution has the values of the definition", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 3, 1}, {1, 2, 3});
  const Tensor w = leaf(Shape{1, 1, 3}, {1, 0, -1});
  CHECK_CLOSE(compute(convolution(x, w, {}, {{1}, {1}})), {-2, -2, 2});
  CHECK_CLOSE(compute(convolution(x, w, leaf(Shape{1}, {10}), {{2}, {1}})), {8, 12});
  // Two channels in, two out, 1x2 kernel: y[o, k] = sum x[o + r, c] w[k, c, r].
  const Tensor image = leaf(Shape{1, 1, 3, 2}, {1, 10, 2, 20, 3, 30});
  const Tensor weights = leaf(Shape{2, 2, 1, 2}, {1, 0, 0, 1, 0, 2, 1, 0});
  CHECK_CLOSE(compute(convolution(image, weights)), {21, 14, 32, 26});
  const auto gradients = compute_gradients(convolution(image, weights), {image, weights}, {1, 0});
  CHECK_CLOSE(gradients[0], {1, 0, 0, 1, 0, 0});
  CHECK_CLOSE(gradients[1], {1, 2, 10, 20, 0, 0, 0, 0});
}

TEST_CASE("convolution in groups and with dilation has the values of the definition", "[ops]") {
  Leaves leaf;
  // One channel by the first weights, the other by the second.
  const Tensor x = leaf(Shape{1, 3, 2}, {1, 10, 2, 20, 3, 30});
  const Tensor w = leaf(Shape{2, 1, 2}, {1, 2, 3, -1});
  const Tensor y = convolution(x, w, {}, {.groups = 2});
  CHECK_CLOSE(compute(y), {1 + 2 * 2, 30 - 20, 2 + 2 * 3, 60 - 30});
  const auto gradients = compute_gradients(y, {x, w}, {1, 0, 0, 1});
  CHECK_CLOSE(gradients[0], {1, 0, 2, 3, 0, -1});
  CHECK_CLOSE(gradients[1], {1, 2, 20, 30});
  // Two steps from one tap to the next.
  const Tensor row = leaf(Shape{1, 5, 1}, {1, 2, 4, 8, 16});
  CHECK_CLOSE(compute(convolution(row, leaf(Shape{1, 1, 2}, {1, -1}), {}, {.dilation = {2}})),
              {-3, -6, -12});
}

TEST_CASE("convolution refuses images smaller than its kernel", "[ops]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{1, 2, 1}, {1, 2});
  const Tensor w = leaf(Shape{1, 1, 3}, {1, 0, -1});
  CHECK_THROWS_WITH(convolution(x, w),
                    "a convolution's kernel of 3 does not fit into 2 pixels with 0 of padding "
                    "(activations [1, 2, 1]): use larger images or an encoder that reduces them "
                    "less");
  CHECK_THAT(death_message([&] {
               convolution(x, leaf(Shape{1, 2, 1}, {1, 2}));
             }),
             Catch::Contains("convolution of [1, 2, 1] with weights [1, 2, 1] in 1 group"));
  CHECK_THROWS_WITH(convolution(leaf(Shape{1, 4, 1}, {1, 2, 3, 4}), w, {}, {.dilation = {2}}),
                    Catch::Contains("a convolution's kernel of 5 does not fit into 4 pixels"));
  CHECK_THAT(death_message([&] {
               convolution(leaf(Shape{1, 1, 3}, {1, 2, 3}), leaf(Shape{2, 1, 1}, {1, 2}), {},
                           {.groups = 3});
             }),
             Catch::Contains("convolution of [1, 1, 3] with weights [2, 1, 1] in 3 groups"));
}

}  // namespace lacuna::test::ops
