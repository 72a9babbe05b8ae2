// The CPU's kernels against the reference's, with sizes that leave remainders in every loop.
#include <array>

#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/convolution.h"
#include "kernels/elementwise.h"
#include "kernels/losses.h"
#include "kernels/matrix_product.h"
#include "kernels/nt_xent.h"
#include "kernels/optimizers.h"
#include "kernels/pooling.h"
#include "kernels/rows.h"
#include "tests/kernels/cpu_support.h"

namespace lacuna::test {

namespace {

// A convolution of the last `axes` of the sizes; those before are 1.
Convolution convolution_of(int64_t batch, int64_t in_channels, int64_t out_channels, int64_t axes,
                           int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                           bool bias) {
  Convolution c{};
  c.batch = batch;
  c.in_channels = in_channels;
  c.out_channels = out_channels;
  c.axes = axes;
  c.groups = 1;
  for (int64_t axis = 0; axis < 3; ++axis) {
    const bool used = axis >= 3 - axes;
    c.dilation[axis] = 1;
    c.in[axis] = used ? size + axis : 1;  // no two axes alike
    c.kernel[axis] = used ? kernel : 1;
    c.stride[axis] = used ? stride : 1;
    c.padding[axis] = used ? padding : 0;
    c.out[axis] = (c.in[axis] + 2 * c.padding[axis] - c.kernel[axis]) / c.stride[axis] + 1;
  }
  c.bias = bias;
  return c;
}

Shape shape_of(int64_t first, const int64_t (&sizes)[3], int64_t axes, int64_t last) {
  std::vector<int64_t> all{first};
  all.insert(all.end(), sizes + 3 - axes, sizes + 3);
  all.push_back(last);
  return Shape(std::span<const int64_t>(all));
}

Shape weights_shape(const Convolution& c) {
  std::vector<int64_t> all{c.out_channels, c.in_channels};
  all.insert(all.end(), c.kernel + 3 - c.axes, c.kernel + 3);
  return Shape(std::span<const int64_t>(all));
}

void compare_convolution(const Convolution& c) {
  const Shape x = shape_of(c.batch, c.in, c.axes, c.in_channels);
  const Shape y = shape_of(c.batch, c.out, c.axes, c.out_channels);
  Job forward{"convolution",
              {random_operand(Kind::F, x, 1), random_operand(Kind::P, weights_shape(c), 2)},
              {{Kind::F, y, {}}},
              c};
  if (c.bias) forward.in.push_back(random_operand(Kind::P, Shape{c.out_channels}, 3));
  compare(forward);
  Convolution plain = c;
  plain.bias = 0;
  compare({"convolution_data_gradient",
           {random_operand(Kind::F, y, 4), random_operand(Kind::P, weights_shape(c), 2)},
           {{Kind::F, x, {}}},
           plain});
  compare({"convolution_weight_gradient",
           {random_operand(Kind::F, x, 1), random_operand(Kind::F, y, 4)},
           {{Kind::P, weights_shape(c), {}}},
           plain});
}

struct Normalisation {
  Shape shape;
  BatchNormAttributes attributes;
  Operand x, residual, dy, gamma, beta, moments, sums;
};

Normalisation normalisation(const Shape& shape, bool relu, bool residual, bool fixed) {
  const int64_t channels = shape[-1];
  Normalisation n{shape,
                  {1e-5, relu, residual, fixed},
                  random_operand(Kind::F, shape, 5, 2, 0.5),
                  random_operand(Kind::F, shape, 6),
                  random_operand(Kind::F, shape, 7),
                  random_operand(Kind::P, Shape{channels}, 8, 0.5, 1),
                  random_operand(Kind::P, Shape{channels}, 9),
                  random_operand(Kind::f64, Shape{1 + 2 * channels}, 10, 0.5, 1.5),
                  random_operand(Kind::f64, Shape{2 * channels}, 11, 10)};
  n.moments.values[0] = 37;
  for (size_t c = 1; c <= static_cast<size_t>(channels); ++c) {
    n.moments.values[c] -= 1.3;
    n.moments.values[c + static_cast<size_t>(channels)] *= 37;
  }
  return n;
}

Operand rounded(Operand x) {
  for (double& value : x.values) value = rounded_to(DType::f32, value);
  return x;
}

// Every `ranks`-th sample from `rank` on.
Operand samples_of(const Operand& x, int64_t rank, int64_t ranks) {
  const auto sample = static_cast<size_t>(x.shape.from(1).count());
  Operand some{x.kind, x.shape, {}};
  some.shape.set(0, 0);
  for (int64_t i = rank; i < x.shape[0]; i += ranks) {
    const auto first = x.values.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(i) * sample);
    some.values.insert(some.values.end(), first, first + static_cast<ptrdiff_t>(sample));
    some.shape.set(0, some.shape[0] + 1);
  }
  return some;
}

std::vector<double> sums_of(const Operand& x, int threads) {
  const Job job{"batch_norm_statistics", {x}, {{Kind::f64, {1 + 4 * x.shape[-1]}, {}}}, {}};
  return cpu_results(job, DType::f32, threads)[0];
}

std::vector<double> merged(const std::vector<std::vector<double>>& parts) {
  const auto width = static_cast<int64_t>(parts[0].size());
  Operand all{Kind::f64, {static_cast<int64_t>(parts.size()), width}, {}};
  for (const auto& part : parts) all.values.insert(all.values.end(), part.begin(), part.end());
  const Job job{"batch_norm_merge", {all}, {{Kind::f64, {(width + 1) / 2}, {}}}, {}};
  return cpu_results(job, DType::f32, 1)[0];
}

// By the definition, in double: first the means, then the deviations from them.
std::vector<double> two_pass_moments(const Operand& x) {
  const auto channels = static_cast<size_t>(x.shape[-1]);
  const double rows = static_cast<double>(x.values.size() / channels);
  std::vector<double> moments(1 + 2 * channels);
  moments[0] = rows;
  for (size_t i = 0; i < x.values.size(); ++i) moments[1 + i % channels] += x.values[i] / rows;
  for (size_t i = 0; i < x.values.size(); ++i) {
    const double deviation = x.values[i] - moments[1 + i % channels];
    moments[1 + channels + i % channels] += deviation * deviation;
  }
  return moments;
}

}  // namespace

TEST_CASE("CPU convolutions agree with the reference over axes and strides and channels") {
  compare_convolution(convolution_of(3, 3, 16, 2, 9, 3, 1, 1, false));
  compare_convolution(convolution_of(2, 1, 8, 2, 11, 7, 2, 3, true));
  compare_convolution(convolution_of(2, 16, 32, 2, 8, 3, 2, 1, false));
  compare_convolution(convolution_of(2, 16, 24, 2, 8, 1, 2, 0, false));
  compare_convolution(convolution_of(2, 260, 24, 2, 4, 3, 1, 1, true));
  compare_convolution(convolution_of(2, 5, 7, 2, 6, 3, 1, 1, true));
  compare_convolution(convolution_of(2, 6, 16, 1, 17, 5, 2, 2, true));
  compare_convolution(convolution_of(2, 4, 6, 3, 5, 3, 1, 1, false));
  // The weight gradient of oneDNN 2.6 wrote behind its scratch memory.
  compare_convolution(convolution_of(2, 2, 4, 1, 8000, 1, 2, 0, false));
}

TEST_CASE("CPU convolutions of no images give zero weight gradients") {
  const Convolution c = convolution_of(0, 4, 8, 2, 6, 3, 1, 1, false);
  Job job{"convolution_weight_gradient",
          {{Kind::F, shape_of(0, c.in, 2, 4), {}}, {Kind::F, shape_of(0, c.out, 2, 8), {}}},
          {{Kind::P, weights_shape(c), std::vector<double>(8 * 4 * 9, 7.0)}},
          c};
  CHECK(cpu_results(job, DType::f32, 2)[0] == std::vector<double>(8 * 4 * 9, 0.0));
}

TEST_CASE("CPU matrix products agree with the reference with either operand transposed") {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const int64_t m = 33, n = 10, k = 67;
      MatrixProduct p{m, n, k, transpose_a, transpose_b, 0};
      const Operand a = random_operand(Kind::F, transpose_a ? Shape{k, m} : Shape{m, k}, 12);
      const Shape b = transpose_b ? Shape{n, k} : Shape{k, n};
      // Weights, then activations with the parameters' type of a weight gradient.
      compare({"matrix_product", {a, random_operand(Kind::P, b, 13)}, {{Kind::F, {m, n}, {}}}, p});
      compare({"matrix_product", {a, random_operand(Kind::F, b, 13)}, {{Kind::P, {m, n}, {}}}, p});
      p.bias = 1;
      compare({"matrix_product",
               {a, random_operand(Kind::P, b, 13), random_operand(Kind::P, Shape{n}, 14)},
               {{Kind::F, {m, n}, {}}},
               p});
    }
  }
  compare({"column_sum", {random_operand(Kind::F, {1001, 21}, 15)}, {{Kind::P, {21}, {}}}, {}});
}

TEST_CASE("CPU batch normalisation agrees with the reference with and without residual and ReLU") {
  for (const Shape& shape : {Shape{13, 7, 5, 21}, Shape{7, 3}, Shape{61, 16, 16, 64}}) {
    const int64_t channels = shape[-1];
    for (const int option : {0, 1, 2, 3, 4, 5}) {
      const bool residual = option & 2;
      const Normalisation n = normalisation(shape, option & 1, residual, option >= 4);
      Job apply{"batch_norm_apply",
                {n.x, n.moments, n.gamma, n.beta},
                {{Kind::F, shape, {}}},
                n.attributes};
      if (residual) apply.in.push_back(n.residual);
      compare(apply);
      // y as a network would have it, from values that both types can hold.
      Job in_bf16 = apply;
      for (Operand& operand : in_bf16.in) {
        if (operand.kind != Kind::F) continue;
        for (double& value : operand.values) value = rounded_to(DType::bf16, value);
      }
      const Operand& x = in_bf16.in[0];
      const Operand y{Kind::F, shape, reference_results(in_bf16)[0]};
      compare({"batch_norm_gradient_statistics",
               {n.dy, x, y, n.moments, n.gamma, n.beta},
               {{Kind::f64, {2 * channels}, {}}},
               n.attributes},
              1e-12);
      Job gradient{"batch_norm_gradient_apply",
                   {n.dy, x, y, n.moments, n.sums, n.gamma, n.beta},
                   {{Kind::F, shape, {}}},
                   n.attributes};
      if (residual) gradient.out.push_back({Kind::F, shape, {}});
      compare(gradient);
    }
  }
}

TEST_CASE("CPU moments are sums in double") {
  // Deviations of 1 around means of 1000: sums in f32 would keep no digit of the variance, 0.33.
  const Shape shape{997, 3, 21};
  Operand x = random_operand(Kind::F, shape, 16, 1, 1000);
  compare({"batch_norm_statistics", {x}, {{Kind::f64, {85}, {}}}, {}}, 1e-7);
  for (double& value : x.values) value = rounded_to(DType::f32, value);
  std::vector<double> found = merged({sums_of(x, 2)});
  std::vector<double> expected = two_pass_moments(x);
  CHECK(distance(found, expected) < 1e-9);
  found.erase(found.begin(), found.begin() + 22);
  expected.erase(expected.begin(), expected.begin() + 22);
  CHECK(distance(found, expected) < 1e-7);
}

// One sample's rows fill one block or several, or are a single one; vectors of channels and a rest.
TEST_CASE("CPU moments are the same bit for bit however ranks and threads divide the batch") {
  for (const Shape& shape : {Shape{61, 7, 9, 21}, Shape{7, 70, 30, 5}, Shape{256, 64}}) {
    CAPTURE(shape);
    const Operand x = rounded(random_operand(Kind::F, shape, 23, 1, 0.3));
    const std::vector<double> all = sums_of(x, 1);
    const std::vector<double> expected = merged({all});
    for (const int threads : {2, 3}) CHECK(merged({sums_of(x, threads)}) == expected);
    for (const int64_t ranks : {2, 3, 5}) {
      CAPTURE(ranks);
      std::vector<std::vector<double>> parts;
      std::vector<double> doubles(all.size() / 2);
      for (int64_t rank = ranks; rank-- > 0;) {  // samples in another order, too
        parts.push_back(sums_of(samples_of(x, rank, ranks), static_cast<int>(rank % 3 + 1)));
        for (size_t i = 0; i < doubles.size(); ++i) doubles[i] += parts.back()[i];
      }
      CHECK(merged(parts) == expected);
      // Sums in double alone do depend on it.
      CHECK(doubles != std::vector<double>(all.begin(), all.begin() + doubles.size()));
    }
  }
}

TEST_CASE("CPU moments of no rows are zeros") {
  const Job job{"batch_norm_statistics",
                {{Kind::F, {0, 4, 4, 3}, {}}},
                {{Kind::f64, {13}, std::vector<double>(13, 5.0)}},
                {}};
  const std::vector<double> sums = cpu_results(job, DType::f32, 2)[0];
  CHECK(sums == std::vector<double>(13, 0.0));
  CHECK(merged({sums, sums}) == std::vector<double>(7, 0.0));
}

TEST_CASE("CPU merged moments and running statistics agree with the reference") {
  Operand parts = random_operand(Kind::f64, {3, 21}, 17, 0.5, 1);
  parts.values[0] = 12;
  for (size_t i = 21; i < 42; ++i) parts.values[i] = 0;  // a rank without rows
  parts.values[42] = 5;
  compare({"batch_norm_merge", {parts}, {{Kind::f64, {11}, {}}}, {}}, 1e-14);
  compare({"batch_norm_fixed_moments",
           {random_operand(Kind::P, {5}, 18), random_operand(Kind::P, {5}, 19, 0.5, 1)},
           {{Kind::f64, {11}, {}}},
           {}},
          1e-14, false);
  Operand moments = random_operand(Kind::f64, {11}, 20, 0.5, 1);
  moments.values[0] = 9;
  compare({"batch_norm_running_update",
           {moments},
           {random_operand(Kind::P, {5}, 21), random_operand(Kind::P, {5}, 22, 0.5, 1)},
           RunningUpdate{0.1}});
  compare({"batch_norm_parameter_gradient",
           {random_operand(Kind::f64, {10}, 23)},
           {{Kind::P, {5}, {}}, {Kind::P, {5}, {}}},
           {}});
}

TEST_CASE("CPU element-wise kernels agree with the reference") {
  const Shape shape{19, 6151};  // enough for several parts
  const Operand a = random_operand(Kind::F, shape, 24);
  const Operand b = random_operand(Kind::F, shape, 25);
  const Operand c = random_operand(Kind::F, shape, 26);
  const std::vector<Operand> y{{Kind::F, shape, {}}};
  compare({"accumulate", {a}, y, {}});
  compare({"accumulate", {a, b}, y, {}});
  compare({"accumulate", {a, b, c}, y, {}});
  compare({"scale", {a}, y, Scale{-1.7}});
  compare({"multiply", {a, b}, y, {}});
  compare({"hide", {a, random_operand(Kind::F, {19, 1}, 23, 0.5, 0.5)}, y, {}});
  compare({"relu", {a}, y, {}});
  compare({"relu_gradient", {a, b}, y, {}});
  compare({"gelu", {random_operand(Kind::F, shape, 24, 3)}, y, {}});
  compare({"gelu_gradient", {a, random_operand(Kind::F, shape, 25, 3)}, y, {}});
  compare({"add_to_each", {a, random_operand(Kind::P, {6151}, 27)}, y, {}});
  compare({"scale_rows", {a, random_operand(Kind::P, {19}, 27)}, y, {}});
  compare({"cast", {a}, {{Kind::P, shape, {}}}, {}});
  compare({"cast", {random_operand(Kind::P, shape, 24)}, y, {}});
  compare({"squared_norm", {a, random_operand(Kind::F, {3}, 27), b}, {{Kind::f64, {}, {}}}, {}},
          1e-12);
}

TEST_CASE("CPU rectifiers let NaN through") {
  const double nan = std::nan("");
  const Job job{"relu", {{Kind::F, {20}, std::vector<double>(20, nan)}}, {{Kind::F, {20}, {}}}, {}};
  for (const DType type : {DType::f32, DType::bf16}) {
    const Results found = cpu_results(job, type, 1);
    for (const double value : found[0]) CHECK(std::isnan(value));
  }
}

TEST_CASE("CPU GELU has the limits of the definition at either end") {
  const std::vector<double> x = {-1e30, -40, -13, 0, 9, 40, 1e30};
  const Job job{"gelu", {{Kind::F, {7}, x}}, {{Kind::F, {7}, {}}}, {}};
  const Results y = cpu_results(job, DType::f32, 1);
  for (size_t i = 0; i < 3; ++i) CHECK(y[0][i] == Approx(0).margin(1e-30));
  for (size_t i = 3; i < x.size(); ++i) CHECK(y[0][i] == Approx(x[i]).epsilon(1e-6));
}

TEST_CASE("CPU casts round to nearest even") {
  CpuDevice device(1);
  const Operand x{Kind::F, {6}, {0.5, 1.5, -2.5, 254.6, 3, 1}};
  const Placed from(x, DType::f32);
  const Placed to({Kind::F, {6}, {}}, DType::i32);
  const std::array in{from.view()};
  const std::array out{to.view()};
  const Attributes none;
  device.find("cast", DType::f32)({in, out, none, device.context()});
  CHECK(to.values() == std::vector<double>{0, 2, -2, 255, 3, 1});
  // bfloat16 has 8 bits: 257 lies halfway between 256 and 258, 259 between 258 and 260.
  const Operand halves{Kind::F, {3}, {257, 259, 1e39}};
  const Placed wide(halves, DType::f32);
  const Placed narrow({Kind::F, {3}, {}}, DType::bf16);
  const std::array wide_in{wide.view()};
  const std::array narrow_out{narrow.view()};
  device.find("cast", DType::f32)({wide_in, narrow_out, none, device.context()});
  CHECK(narrow.values()[0] == 256);
  CHECK(narrow.values()[1] == 260);
  CHECK(std::isinf(narrow.values()[2]));
}

TEST_CASE("CPU count of correct rows takes the first largest") {
  const Job job{
      "count_correct",
      {{Kind::F, {4, 3}, {1, 2, 2, 3, 1, 1, 0, 0, 5, 4, 4, 4}}, {Kind::i64, {4}, {1, 0, 2, 1}}},
      {{Kind::f64, {}, {}}},
      {}};
  CHECK(cpu_results(job, DType::f32, 1)[0][0] == 3);
  CHECK(cpu_results(job, DType::bf16, 1)[0][0] == 3);
}

TEST_CASE("CPU pooling and upsampling agree with the reference") {
  const Shape x{3, 11, 9, 21};
  for (const Pooling& p : {Pooling{{3, 3}, {2, 2}, {1, 1}}, Pooling{{2, 2}, {2, 2}, {0, 0}},
                           Pooling{{3, 2}, {1, 3}, {1, 0}}}) {
    const auto size = [&](int64_t in, int axis) {
      return (in + 2 * p.padding[axis] - p.kernel[axis]) / p.stride[axis] + 1;
    };
    const Shape y{3, size(11, 0), size(9, 1), 21};
    Operand input = random_operand(Kind::F, x, 28);
    for (double& value : input.values) value = std::round(value * 8) / 8;  // ties
    const Job forward{"max_pool", {input}, {{Kind::F, y, {}}}, p};
    compare(forward);
    compare({"max_pool_gradient",
             {random_operand(Kind::F, y, 29), input, {Kind::F, y, reference_results(forward)[0]}},
             {{Kind::F, x, {}}},
             p});
  }
  compare({"average_pool", {random_operand(Kind::F, x, 30)}, {{Kind::F, {3, 21}, {}}}, {}});
  compare(
      {"average_pool_gradient", {random_operand(Kind::F, {3, 21}, 31)}, {{Kind::F, x, {}}}, {}});
  for (const Shape& other : {Shape{3, 22, 18, 21}, Shape{3, 15, 7, 21}}) {
    compare({"upsample", {random_operand(Kind::F, x, 32)}, {{Kind::F, other, {}}}, {}});
    compare({"upsample_gradient", {random_operand(Kind::F, other, 33)}, {{Kind::F, x, {}}}, {}});
  }
}

TEST_CASE("CPU kernels on rows agree with the reference") {
  const Shape shape{301, 131};
  Operand x = random_operand(Kind::F, shape, 34);
  for (size_t i = 0; i < 131; ++i) x.values[i] = 0;  // a row without a direction
  const Job forward{
      "normalize_rows", {x}, {{Kind::F, shape, {}}, {Kind::P, {301}, {}}}, NormalizeRows{1e-12}};
  compare(forward);
  Job in_bf16 = forward;
  for (double& value : in_bf16.in[0].values) value = rounded_to(DType::bf16, value);
  const Results y = reference_results(in_bf16);
  compare(
      {"normalize_rows_gradient",
       {random_operand(Kind::F, shape, 35, 1e-3), {Kind::F, shape, y[0]}, {Kind::P, {301}, y[1]}},
       {{Kind::F, shape, {}}},
       NormalizeRows{1e-12}});
  compare(
      {"concatenate", {x, random_operand(Kind::F, {7, 131}, 36)}, {{Kind::F, {308, 131}, {}}}, {}});
  compare({"place_rows",
           {random_operand(Kind::F, {7, 131}, 36)},
           {{Kind::F, {20, 131}, std::vector<double>(20 * 131, 1.0)}},
           PlaceRows{5}});
}

TEST_CASE("CPU layer normalisation agrees with the reference") { compare_layer_norm({301, 5, 43}); }

TEST_CASE("CPU attention agrees with the reference over blocks of queries and odd heads") {
  compare_attention(3, 49, 3, 64);
  compare_attention(2, 197, 2, 32);
  compare_attention(1, 1, 2, 5);
  compare_attention(2, 55, 1, 17);
  compare_attention(5, 16, 4, 80);
}

TEST_CASE("CPU attention survives logits whose exponentials overflow") {
  // One key per query that outweighs all others: the result is its value.
  const int64_t tokens = 20;
  std::vector<double> qkv;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t d = 0; d < 20; ++d) qkv.push_back(d == token ? 100 : 0);
    for (int64_t d = 0; d < 20; ++d) qkv.push_back(d == token ? 100 : 0);
    for (int64_t d = 0; d < 20; ++d) qkv.push_back(static_cast<double>(token));
  }
  const Job job{"attention",
                {{Kind::F, {1, tokens, 60}, qkv}},
                {{Kind::F, {1, tokens, 20}, {}}, {Kind::P, {1, 1, tokens}, {}}},
                Attention{1, 1}};
  const Results y = cpu_results(job, DType::f32, 1);
  for (size_t i = 0; i < y[0].size(); ++i) CHECK(y[0][i] == static_cast<double>(i / 20));
  for (const double lse : y[1]) CHECK(lse == 10000);
}

TEST_CASE("CPU cross entropy agrees with the reference") {
  const Operand logits = random_operand(Kind::P, {57, 43}, 37, 10);
  Operand labels{Kind::i64, {57}, numbers(57, 38, 21, 21)};
  for (double& label : labels.values) label = std::floor(label);
  labels.values[3] = -1;
  const Job forward{"softmax_cross_entropy",
                    {logits, labels},
                    {{Kind::P, {}, {}}, {Kind::P, {57}, {}}},
                    CrossEntropy{0.25}};
  compare(forward, 2e-6, false);
  compare({"softmax_cross_entropy_gradient",
           {{Kind::P, {}, {0.7}}, logits, labels, {Kind::P, {57}, reference_results(forward)[1]}},
           {{Kind::P, {57, 43}, {}}},
           CrossEntropy{0.25}},
          2e-6, false);
}

TEST_CASE("CPU squared error agrees with the reference weighted or not") {
  for (const bool weighted : {false, true}) {
    const Shape shape{5, 41, 43, 3};
    const SquaredError attributes{0.01, weighted};
    std::vector<Operand> in{random_operand(Kind::P, shape, 39), random_operand(Kind::P, shape, 40)};
    if (weighted) in.push_back(random_operand(Kind::P, {5, 41, 43, 1}, 41, 0.5, 0.5));
    compare({"squared_error", in, {{Kind::P, {}, {}}}, attributes}, 2e-6, false);
    in.insert(in.begin(), Operand{Kind::P, {}, {0.7}});
    compare({"squared_error_gradient", in, {{Kind::P, shape, {}}}, attributes}, 2e-6, false);
  }
}

TEST_CASE("CPU NT-Xent agrees with the reference") {
  const int64_t b = 5, g = 13, d = 24;
  const NtXent attributes{0.2};
  const auto normalised = [&](int64_t rows, uint64_t seed) {
    Operand z = random_operand(Kind::P, {rows, d}, seed);
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      double norm = 0;
      for (size_t i = 0; i < static_cast<size_t>(d); ++i) {
        norm += std::pow(z.values[row * static_cast<size_t>(d) + i], 2);
      }
      for (size_t i = 0; i < static_cast<size_t>(d); ++i) {
        z.values[row * static_cast<size_t>(d) + i] /= std::sqrt(norm);
      }
    }
    return z;
  };
  const Operand all0 = normalised(g, 42);
  const Operand all1 = normalised(g, 43);
  const auto own = [&](const Operand& all) {
    Operand z{Kind::P, {b, d}, {}};
    z.values.assign(all.values.begin() + 3 * d, all.values.begin() + (3 + b) * d);
    return z;
  };
  std::vector<Operand> in{own(all0), own(all1), all0, all1, {Kind::i64, {}, {3}}};
  const Job forward{"nt_xent", in, {{Kind::P, {}, {}}, {Kind::P, {2 * b}, {}}}, attributes};
  compare(forward, 2e-6, false);
  in.insert(in.begin(), Operand{Kind::P, {}, {0.7}});
  in.push_back({Kind::P, {2 * b}, reference_results(forward)[1]});
  compare(
      {"nt_xent_gradient",
       in,
       {{Kind::P, {b, d}, {}}, {Kind::P, {b, d}, {}}, {Kind::P, {g, d}, {}}, {Kind::P, {g, d}, {}}},
       attributes},
      5e-6, false);
}

TEST_CASE("CPU updates agree with the reference") {
  const std::vector<Shape> shapes{{64, 64, 3, 3}, {7}, {129, 3}};
  const auto tensors = [&](uint64_t seed, double scale, double shift) {
    std::vector<Operand> all;
    for (const Shape& shape : shapes) {
      all.push_back(random_operand(Kind::P, shape, seed++, scale, shift));
    }
    return all;
  };
  const auto with = [](std::vector<Operand> first, const std::vector<Operand>& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  };
  const auto scalar = [](double value) { return Operand{Kind::f64, {}, {value}}; };
  const std::vector<Operand> g = with(tensors(44, 1, 0), {scalar(0.3), scalar(0.8)});
  const std::vector<Operand> state = with(tensors(50, 1, 0), tensors(60, 1, 0));
  compare({"sgd_update", g, state, Sgd{0.9, 1e-2}}, 2e-6, false);
  compare({"lars_norms",
           with(with(tensors(44, 1, 0), tensors(50, 1, 0)), {scalar(0.8)}),
           {{Kind::f64, {3, 2}, {}}},
           LarsNorms{1e-2}},
          1e-6, false);
  const Operand norms{Kind::f64, {3, 2}, {36864, 41000, 7, 0, 387, 500}};
  compare({"lars_update", with(g, {norms}), state, Lars{0.9, 1e-2, 1e-1}}, 2e-6, false);
  compare({"adamw_update", with(g, {scalar(0.271), scalar(0.003)}),
           with(state, tensors(70, 0.5, 0.5)), AdamW{0.9, 0.999, 1e-8, 0.1}},
          2e-6, false);
  compare({"ema_update", with(tensors(44, 1, 0), {scalar(0.99)}), tensors(50, 1, 0), {}}, 2e-6,
          false);
  compare({"clip_factor", {scalar(100), scalar(0.5)}, {{Kind::f64, {}, {}}}, ClipFactor{3}}, 1e-12,
          false);
  compare({"clip_factor", {scalar(4), scalar(1)}, {{Kind::f64, {}, {}}}, ClipFactor{3}}, 1e-12,
          false);
}

}  // namespace lacuna::test
