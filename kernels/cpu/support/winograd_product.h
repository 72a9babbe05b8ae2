// The matrix products of Winograd's convolutions: register blocks of 6 rows by up to 4 vectors of
// columns. Included once for each instruction set, as simd.h is.
#if defined(LACUNA_KERNELS_CPU_WINOGRAD_PRODUCT_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LACUNA_KERNELS_CPU_WINOGRAD_PRODUCT_H
#undef LACUNA_KERNELS_CPU_WINOGRAD_PRODUCT_H
#else
#define LACUNA_KERNELS_CPU_WINOGRAD_PRODUCT_H
#endif

#include <algorithm>

#include "kernels/cpu/support/simd.h"
#include "kernels/cpu/support/winograd_transforms.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// Of 32 registers 24 hold sums, of 16 registers 12.
constexpr int block_rows = 6;
constexpr int vector_floats = static_cast<int>(hn::MaxLanes(hn::ScalableTag<float>()));
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM
constexpr int panel_vectors = 4;
#else
constexpr int panel_vectors = 2;
#endif
constexpr int panel_columns = panel_vectors * vector_floats;

// out(i, j) = sum over s of a(i, s) b(s, j), or that added to what is there. A sum goes over s in
// order, whatever rows and columns are beside it. Long ones are cut into pieces, which rounds less.
struct Product {
  const float* a;
  int64_t a_row, a_step;  // strides; one of both is 1
  const float* b;
  int64_t b_step;
  float* out;
  int64_t out_row;
  int64_t steps;
  bool add;
  const float* ahead;  // what is read next: `steps` cache lines are fetched while a block is made
};

template <int rows, int vectors, bool rows_adjacent>
HWY_INLINE void multiply_block(const Product& p) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  V sums[rows * vectors];
  unrolled<rows * vectors>([&](auto at) HWY_ATTR { sums[at] = hn::Zero(d); });
  const float* a = p.a;
  const float* b = p.b;
  const float* ahead = p.ahead;
  const int64_t row = rows_adjacent ? 1 : p.a_row;
  const int64_t step = rows_adjacent ? p.a_step : 1;
  for (int64_t s = 0; s < p.steps; ++s, a += step, b += p.b_step, ahead += 16) {
    __builtin_prefetch(ahead, 0, 2);
    V columns[vectors];
    unrolled<vectors>([&](auto j) HWY_ATTR { columns[j] = hn::LoadU(d, b + j * vector_floats); });
    unrolled<rows>([&](auto i) HWY_ATTR {
      const V factor = hn::Set(d, a[static_cast<int64_t>(i) * row]);
      unrolled<vectors>([&](auto j) HWY_ATTR {
        sums[i * vectors + j] = hn::MulAdd(factor, columns[j], sums[i * vectors + j]);
      });
    });
  }
  unrolled<rows * vectors>([&](auto at) HWY_ATTR {
    constexpr int i = at / vectors, j = at % vectors;
    float* out = p.out + i * p.out_row + j * vector_floats;
    hn::StoreU(p.add ? hn::Add(hn::LoadU(d, out), sums[at]) : sums[at], d, out);
  });
}

// `rows` rows, block by block.
template <int vectors, bool rows_adjacent>
HWY_NOINLINE void multiply_rows(Product p, int64_t rows) {
  const float* last = p.ahead + p.steps * (vectors * vector_floats - 16);
  for (; rows >= block_rows; rows -= block_rows) {
    multiply_block<block_rows, vectors, rows_adjacent>(p);
    p.a += block_rows * (rows_adjacent ? 1 : p.a_row);
    p.out += block_rows * p.out_row;
    p.ahead = std::min(p.ahead + p.steps * 16, last);
  }
  switch (rows) {
    case 5:
      return multiply_block<5, vectors, rows_adjacent>(p);
    case 4:
      return multiply_block<4, vectors, rows_adjacent>(p);
    case 3:
      return multiply_block<3, vectors, rows_adjacent>(p);
    case 2:
      return multiply_block<2, vectors, rows_adjacent>(p);
    case 1:
      return multiply_block<1, vectors, rows_adjacent>(p);
    default:
      return;
  }
}

// A panel of `columns` (at most panel_columns, whole vectors).
template <bool rows_adjacent>
HWY_INLINE void multiply_panel(const Product& p, int64_t rows, int64_t columns) {
  if constexpr (panel_vectors == 4) {
    if (columns == 4 * vector_floats) return multiply_rows<4, rows_adjacent>(p, rows);
    if (columns == 3 * vector_floats) return multiply_rows<3, rows_adjacent>(p, rows);
  }
  if (columns == 2 * vector_floats) return multiply_rows<2, rows_adjacent>(p, rows);
  multiply_rows<1, rows_adjacent>(p, rows);
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard for each target
