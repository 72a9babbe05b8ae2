// NT-Xent: the similarities S [2B, 2G] of this rank's rows against all by one matrix product
// (8 B G D FLOPs), then one pass over S; backward S again, the gradient by S in place, and two
// products of as many FLOPs each. S lies in scratch: 16 B G bytes, 1 MiB at B = G = 256.
#include "kernels/nt_xent.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/support/context.h"
#include "kernels/cpu/support/parallel.h"
#include "kernels/cpu/support/product.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/nt_xent.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

#ifndef LACUNA_KERNELS_CPU_NT_XENT_ONCE
#define LACUNA_KERNELS_CPU_NT_XENT_ONCE
namespace lacuna::cpu {

// Sizes, and which columns of S are special for a row: of rows 0 to B-1 of view 0 and B to 2B-1 of
// view 1, against columns 0 to G-1 of all0 and G to 2G-1 of all1.
struct NtXentRows {
  int64_t b, g, first;
  float inverse_temperature;
  int64_t self(int64_t row) const { return row < b ? first + row : g + first + row - b; }
  int64_t pair(int64_t row) const { return row < b ? g + first + row : first + row - b; }
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// lse and lse - s_pair / t of each row. The row itself is left out of the maximum and of the sum
// by its similarity being -inf.
void nt_xent_rows(const NtXentRows& n, float* s, float* lse, double* losses, int64_t begin,
                  int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    float* similarities = s + row * 2 * n.g;
    similarities[n.self(row)] = -std::numeric_limits<float>::infinity();
    const float shift = largest(similarities, 2 * n.g) * n.inverse_temperature;
    const double sum = sum_exp(similarities, 2 * n.g, n.inverse_temperature, shift);
    const double of_row = double{shift} + std::log(sum);
    lse[row] = static_cast<float>(of_row);
    losses[row] = of_row - double{similarities[n.pair(row)]} * double{n.inverse_temperature};
  }
}

// s becomes the loss's gradient by s: factor (softmax - [pair]).
void nt_xent_gradient_rows(const NtXentRows& n, float factor, float* s, const float* lse,
                           int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    float* similarities = s + row * 2 * n.g;
    for_lanes(0, 2 * n.g, [&](auto d, int64_t i) HWY_ATTR {
      const auto power = hn::MulSub(hn::LoadU(d, similarities + i),
                                    hn::Set(d, n.inverse_temperature), hn::Set(d, lse[row]));
      hn::StoreU(hn::Mul(exponential(d, power), hn::Set(d, factor)), d, similarities + i);
    });
    similarities[n.self(row)] = 0;
    similarities[n.pair(row)] -= factor;
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(nt_xent_rows);
HWY_EXPORT(nt_xent_gradient_rows);

namespace {

View matrix(float* data, int64_t m, int64_t n) { return {data, DType::f32, Shape{m, n}}; }

void copy(const View& from, float* to) { std::copy_n(from.as<float>(), from.count(), to); }
void copy(const float* from, const View& to) { std::copy_n(from, to.count(), to.as<float>()); }

int64_t row_grain(const NtXentRows& n) { return grain_of(32 * n.g); }

// Rows of both views one after the other, S, and a gradient, in the context's workspace.
struct Similarities {
  using Operand = operands::NtXent;
  // From operands z0, z1, all0, all1, first.
  Similarities(const Call& call, std::span<const View> z)
      : b(z[Operand::z0].shape[0]), g(z[Operand::all0].shape[0]), d(z[Operand::z0].shape[1]) {
    const auto attributes = call.attributes.as<NtXent>();
    rows = {b, g, *z[Operand::first].as<int64_t>(), static_cast<float>(1 / attributes.temperature)};
    const size_t floats = static_cast<size_t>(2 * b * d + 4 * g * d + 4 * b * g);
    own = static_cast<float*>(
        static_cast<CpuContext&>(call.context).workspace(floats * sizeof(float)));
    all = own + 2 * b * d;
    s = all + 2 * g * d;
    gradient = s + 4 * b * g;
    copy(z[Operand::z0], own);
    copy(z[Operand::z1], own + b * d);
    copy(z[Operand::all0], all);
    copy(z[Operand::all1], all + g * d);
    multiply_matrices(call.context, {2 * b, 2 * g, d, false, true}, matrix(own, 2 * b, d),
                      matrix(all, 2 * g, d), nullptr, matrix(s, 2 * b, 2 * g));
  }
  int64_t b, g, d;
  NtXentRows rows;
  float *own, *all, *s;  // [2B, D], [2G, D], [2B, 2G]
  float* gradient;       // [2G, D], of which own rows need [2B, D]
};

void nt_xent(const Call& call) {
  using Operand = operands::NtXent;
  const Similarities m(call, call.in);
  std::vector<double> losses(static_cast<size_t>(2 * m.b));
  float* lse = call.out[Operand::lse].as<float>();
  const auto range = HWY_DYNAMIC_DISPATCH(nt_xent_rows);
  for_ranges(threads_of(call), 2 * m.b, row_grain(m.rows), [&](int64_t begin, int64_t end) {
    range(m.rows, m.s, lse, losses.data(), begin, end);
  });
  double loss = 0;
  for (const double of_row : losses) loss += of_row;
  *call.out[Operand::loss].as<float>() = static_cast<float>(loss / static_cast<double>(2 * m.g));
}

void nt_xent_gradient(const Call& call) {
  using Operand = operands::NtXentGradient;
  const Similarities m(call, call.in.subspan(Operand::z0));
  const double temperature = call.attributes.as<NtXent>().temperature;
  const float factor = static_cast<float>(double{*call.in[Operand::dloss].as<float>()} /
                                          (static_cast<double>(2 * m.g) * temperature));
  const float* lse = call.in[Operand::lse].as<float>();
  const auto range = HWY_DYNAMIC_DISPATCH(nt_xent_gradient_rows);
  for_ranges(threads_of(call), 2 * m.b, row_grain(m.rows),
             [&](int64_t begin, int64_t end) { range(m.rows, factor, m.s, lse, begin, end); });
  multiply_matrices(call.context, {2 * m.b, m.d, 2 * m.g}, matrix(m.s, 2 * m.b, 2 * m.g),
                    matrix(m.all, 2 * m.g, m.d), nullptr, matrix(m.gradient, 2 * m.b, m.d));
  copy(m.gradient, call.out[Operand::dz0]);
  copy(m.gradient + m.b * m.d, call.out[Operand::dz1]);
  multiply_matrices(call.context, {2 * m.g, m.d, 2 * m.b, true, false},
                    matrix(m.s, 2 * m.b, 2 * m.g), matrix(m.own, 2 * m.b, m.d), nullptr,
                    matrix(m.gradient, 2 * m.g, m.d));
  copy(m.gradient, call.out[Operand::dall0]);
  copy(m.gradient + m.g * m.d, call.out[Operand::dall1]);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"nt_xent", {f32}, nt_xent},
    KernelEntry{"nt_xent_gradient", {f32}, nt_xent_gradient},
};

}  // namespace

std::span<const KernelEntry> nt_xent_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
