// Matrix products and attention of sizes that the conformance suite has not: sums in parts, several
// tiles, wide heads; against sums in double.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "backend/host_memory.h"
#include "kernels/attention.h"
#include "kernels/cuda/support/launch.h"
#include "kernels/cuda/support/table.h"
#include "kernels/matrix_product.h"
#include "kernels/reference/support/table.h"

namespace lacuna::cuda {

namespace {

class Context final : public CudaContext {
 public:
  explicit Context(int64_t blocks = 3) : blocks_(blocks) {}
  void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
  cudaStream_t stream() override { return nullptr; }
  Cudnn& cudnn() override { throw std::logic_error("no kernel of ours asks for the library"); }
  int64_t blocks() const override { return blocks_; }

 private:
  HostScratch scratch_;
  int64_t blocks_;
};

// A tensor of f32 or bf16 values, and the same ones as doubles.
struct Operand {
  DType dtype;
  Shape shape;
  std::vector<float> wide;
  std::vector<Bf16> narrow;
  std::vector<double> doubles;

  Operand(DType of_dtype, const Shape& of_shape, unsigned seed = 0, float factor = 1)
      : dtype(of_dtype), shape(of_shape), wide(static_cast<size_t>(of_shape.count()), 9.f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    for (float& x : wide) {
      const float drawn = factor * normal(engine);
      narrow.push_back(from_float<Bf16>(drawn));
      x = dtype == DType::bf16 ? to_float(narrow.back()) : drawn;
      doubles.push_back(static_cast<double>(x));
    }
  }
  View view() {
    return {
        dtype == DType::bf16 ? static_cast<void*>(narrow.data()) : static_cast<void*>(wide.data()),
        dtype, shape};
  }
  View reference() { return {doubles.data(), DType::f64, shape}; }
  // Of this as a result.
  double error() const {
    double difference = 0, whole = 0;
    for (size_t i = 0; i < doubles.size(); ++i) {
      const auto x = static_cast<double>(dtype == DType::bf16 ? to_float(narrow[i]) : wide[i]);
      difference += (x - doubles[i]) * (x - doubles[i]);
      whole += doubles[i] * doubles[i];
    }
    return std::sqrt(difference / whole);
  }
};

// Runs an operation's kernel and the reference's.
void run(std::string_view operation, std::vector<Operand*> inputs, std::vector<Operand*> outputs,
         const Attributes& attributes, int64_t blocks = 3) {
  Context context(blocks);
  std::vector<View> in, out, reference_in, reference_out;
  for (Operand* x : inputs) {
    in.push_back(x->view());
    reference_in.push_back(x->reference());
  }
  for (Operand* y : outputs) {
    out.push_back(y->view());
    reference_out.push_back(y->reference());
  }
  find_kernel(cuda_kernels(), operation, in[0].dtype)({in, out, attributes, context});
  find_kernel(reference_kernels(), operation,
              DType::f64)({reference_in, reference_out, attributes, context});
}

using enum DType;

}  // namespace

TEST_CASE("cuda products of many terms, transposed or not, have small errors") {
  for (const int64_t k : {1, 8, 100, 4097}) {
    for (const int64_t ta : {0, 1}) {
      for (const int64_t tb : {0, 1}) {
        const int64_t m = 131, n = 67;
        Operand a(f32, ta ? Shape{k, m} : Shape{m, k}, 1);
        Operand b(f32, tb ? Shape{n, k} : Shape{k, n}, 2);
        Operand bias(f32, Shape{n}, 3);
        Operand y(f32, Shape{m, n});
        INFO(k << (ta ? " transposed" : "") << (tb ? " by transposed" : ""));
        run("matrix_product", {&a, &b, &bias}, {&y}, MatrixProduct{m, n, k, ta, tb, 1});
        CHECK(y.error() < 2e-6);
      }
    }
  }
}

TEST_CASE("cuda products in parts have the same bits whether one block adds them or several") {
  const MatrixProduct sizes{40, 70, 12000, 0, 1, 1};
  Operand a(f32, Shape{40, 12000}, 1), b(f32, Shape{70, 12000}, 2), bias(f32, Shape{70}, 3);
  Operand split(f32, Shape{40, 70}), whole(f32, Shape{40, 70});
  run("matrix_product", {&a, &b, &bias}, {&split}, sizes, 1000);
  run("matrix_product", {&a, &b, &bias}, {&whole}, sizes, 1);
  CHECK(split.wide == whole.wide);
  CHECK(split.error() < 2e-6);
}

TEST_CASE("cuda products take weights, bias and results of either type") {
  for (const DType of_b : {f32, bf16}) {
    for (const DType of_bias : {f32, bf16}) {
      for (const DType of_y : {f32, bf16}) {
        const int64_t m = 33, n = 65, k = 5000;
        Operand a(bf16, Shape{m, k}, 1), b(of_b, Shape{n, k}, 2), bias(of_bias, Shape{n}, 3, 50);
        Operand y(of_y, Shape{m, n});
        run("matrix_product", {&a, &b, &bias}, {&y}, MatrixProduct{m, n, k, 0, 1, 1}, 3);
        CHECK(y.error() < (of_y == f32 ? 2e-6 : 3e-3));
      }
    }
  }
}

TEST_CASE("cuda products without terms or rows are the bias or nothing") {
  Operand a(f32, Shape{3, 0}), b(f32, Shape{0, 4}), bias(f32, Shape{4}, 3), y(f32, Shape{3, 4});
  run("matrix_product", {&a, &b, &bias}, {&y}, MatrixProduct{3, 4, 0, 0, 0, 1});
  CHECK(y.error() == 0);
  Operand none(f32, Shape{0, 5}), w(f32, Shape{5, 4}), nothing(f32, Shape{0, 4});
  run("matrix_product", {&none, &w}, {&nothing}, MatrixProduct{0, 4, 5, 0, 0, 0});
}

TEST_CASE("cuda attention of heads of any width has small errors") {
  for (const DType dtype : {f32, bf16}) {
    for (const auto& [samples, heads, tokens, size] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                                       {2, 3, 70, 7},
                                                       {1, 1, 197, 64},
                                                       {1, 2, 65, 65},
                                                       {1, 1, 100, 128},
                                                       {1, 1, 67, 200},
                                                       {1, 2, 40, 256},
                                                       {1, 1, 17, 300}}) {
      INFO(name_of(dtype) << ": " << samples << " x " << heads << " x " << tokens << " x " << size);
      const Shape shape{samples, tokens, heads * size};
      const Shape rows{samples, heads, tokens};
      const Attention attributes{1 / std::sqrt(static_cast<double>(size)), heads};
      Operand qkv(dtype, Shape{samples, tokens, 3 * heads * size}, 1, 2);
      Operand y(dtype, shape), lse(f32, rows);
      run("attention", {&qkv}, {&y, &lse}, attributes);
      CHECK(y.error() < (dtype == f32 ? 2e-6 : 4e-3));
      CHECK(lse.error() < 1e-6);
      Operand dy(dtype, shape, 2), dqkv(dtype, Shape{samples, tokens, 3 * heads * size});
      run("attention_gradient", {&dy, &qkv, &y, &lse}, {&dqkv}, attributes);
      CHECK(dqkv.error() < (dtype == f32 ? 1e-5 : 1e-2));
    }
  }
}

// Products grow from key to key, so that all that was summed before shrinks to nothing, or the
// first is largest.
TEST_CASE("cuda attention holds where products are large") {
  for (const float direction : {1.f, -1.f}) {
    const int64_t tokens = 150, size = 4;
    Operand qkv(f32, Shape{1, tokens, 3 * size}, 1);
    for (size_t t = 0; t < static_cast<size_t>(tokens); ++t) {
      qkv.wide[t * 12] = 30;
      qkv.wide[t * 12 + 4] = direction * static_cast<float>(t);
      qkv.doubles[t * 12] = 30;
      qkv.doubles[t * 12 + 4] = static_cast<double>(qkv.wide[t * 12 + 4]);
    }
    Operand y(f32, Shape{1, tokens, size}), lse(f32, Shape{1, 1, tokens});
    run("attention", {&qkv}, {&y, &lse}, Attention{0.5, 1});
    CHECK(y.error() < 2e-4);  // products of some 2000 have errors of 1e-4
    CHECK(lse.error() < 1e-6);
  }
}

}  // namespace lacuna::cuda
