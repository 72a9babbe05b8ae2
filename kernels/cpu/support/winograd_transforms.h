// The transforms of Winograd's convolutions, of tiles of vectors over channels. Included once for
// each instruction set, as simd.h is.
//
// Along one axis, for m outputs and a kernel of 3: y = A^T ((G g) . (B^T d)), with m + 2 products.
// The matrices are those of polynomials that are interpolated at m + 1 points and infinity: 0, 1
// and -1 for m = 2; 0, +-a and +-b for m = 4. a = 11/16 and b = 3/2 round 2.5 times less than
// Lavin's 1 and 2, and are exact in binary, as are their powers. In two dimensions each matrix is
// applied to columns, then to rows.
#if defined(LACUNA_KERNELS_CPU_WINOGRAD_TRANSFORMS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LACUNA_KERNELS_CPU_WINOGRAD_TRANSFORMS_H
#undef LACUNA_KERNELS_CPU_WINOGRAD_TRANSFORMS_H
#else
#define LACUNA_KERNELS_CPU_WINOGRAD_TRANSFORMS_H
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu/support/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

template <class Body, size_t... I>
HWY_INLINE void unrolled(const Body& body, std::index_sequence<I...>) {
  (body(std::integral_constant<size_t, I>()), ...);
}

// body(i) for i from 0 to count, each a constant of the compiler's.
template <size_t count, class Body>
HWY_INLINE void unrolled(const Body& body) {
  unrolled(body, std::make_index_sequence<count>());
}

template <class V>
HWY_INLINE V constant(float value) {
  return hn::Set(hn::DFromV<V>(), value);
}

// The points of m = 4.
constexpr float point_a = 0.6875f, point_b = 1.5f;
constexpr float a2 = point_a * point_a, b2 = point_b * point_b;
constexpr float weight_0 = 1 / (a2 * b2), weight_a = 1 / (2 * a2 * (a2 - b2)),
                weight_b = 1 / (2 * b2 * (b2 - a2));

// Each works in place on the values of an axis: from m + 2 inputs.

// B^T, to m + 2.
struct InputAxis {
  template <class V>
  HWY_INLINE void operator()(V (&v)[4]) const {
    const V v1 = v[1], v2 = v[2];
    v[0] = hn::Sub(v[0], v2);
    v[1] = hn::Add(v1, v2);
    v[2] = hn::Sub(v2, v1);
    v[3] = hn::Sub(v[3], v1);
  }
  template <class V>
  HWY_INLINE void operator()(V (&v)[6]) const {
    const V product = constant<V>(a2 * b2), sum = constant<V>(a2 + b2);
    const V even_a = hn::NegMulAdd(constant<V>(b2), v[2], v[4]);
    const V odd_a = hn::NegMulAdd(constant<V>(b2), v[1], v[3]);
    const V even_b = hn::NegMulAdd(constant<V>(a2), v[2], v[4]);
    const V odd_b = hn::NegMulAdd(constant<V>(a2), v[1], v[3]);
    v[0] = hn::MulAdd(product, v[0], hn::NegMulAdd(sum, v[2], v[4]));
    v[5] = hn::MulAdd(product, v[1], hn::NegMulAdd(sum, v[3], v[5]));
    v[1] = hn::MulAdd(constant<V>(point_a), odd_a, even_a);
    v[2] = hn::NegMulAdd(constant<V>(point_a), odd_a, even_a);
    v[3] = hn::MulAdd(constant<V>(point_b), odd_b, even_b);
    v[4] = hn::NegMulAdd(constant<V>(point_b), odd_b, even_b);
  }
};

// A^T, to m.
struct OutputAxis {
  template <class V>
  HWY_INLINE void operator()(V (&v)[4]) const {
    v[0] = hn::Add(v[0], hn::Add(v[1], v[2]));
    v[1] = hn::Add(hn::Sub(v[1], v[2]), v[3]);
  }
  template <class V>
  HWY_INLINE void operator()(V (&v)[6]) const {
    const V even_a = hn::Add(v[1], v[2]), odd_a = hn::Sub(v[1], v[2]);
    const V even_b = hn::Add(v[3], v[4]), odd_b = hn::Sub(v[3], v[4]);
    v[0] = hn::Add(v[0], hn::Add(even_a, even_b));
    v[1] = hn::MulAdd(constant<V>(point_a), odd_a, hn::Mul(constant<V>(point_b), odd_b));
    v[2] = hn::MulAdd(constant<V>(a2), even_a, hn::Mul(constant<V>(b2), even_b));
    v[3] = hn::MulAdd(constant<V>(a2 * point_a), odd_a,
                      hn::MulAdd(constant<V>(b2 * point_b), odd_b, v[5]));
  }
};

// A, from m to m + 2: of gradients by outputs.
struct OutputGradientAxis {
  template <class V>
  HWY_INLINE void operator()(V (&v)[4]) const {
    const V v1 = v[1];
    v[1] = hn::Add(v[0], v1);
    v[2] = hn::Sub(v[0], v1);
    v[3] = v1;
  }
  template <class V>
  HWY_INLINE void operator()(V (&v)[6]) const {
    const V even_a = hn::MulAdd(constant<V>(a2), v[2], v[0]);
    const V odd_a = hn::MulAdd(constant<V>(a2), v[3], v[1]);
    const V even_b = hn::MulAdd(constant<V>(b2), v[2], v[0]);
    const V odd_b = hn::MulAdd(constant<V>(b2), v[3], v[1]);
    v[5] = v[3];
    v[1] = hn::MulAdd(constant<V>(point_a), odd_a, even_a);
    v[2] = hn::NegMulAdd(constant<V>(point_a), odd_a, even_a);
    v[3] = hn::MulAdd(constant<V>(point_b), odd_b, even_b);
    v[4] = hn::NegMulAdd(constant<V>(point_b), odd_b, even_b);
  }
};

// G, from 3 to m + 2.
struct WeightAxis {
  template <class V>
  HWY_INLINE void operator()(V (&v)[4]) const {
    const V even = hn::Mul(constant<V>(0.5f), hn::Add(v[0], v[2]));
    const V odd = hn::Mul(constant<V>(0.5f), v[1]);
    v[3] = v[2];
    v[1] = hn::Add(even, odd);
    v[2] = hn::Sub(even, odd);
  }
  template <class V>
  HWY_INLINE void operator()(V (&v)[6]) const {
    const V even_a = hn::Mul(constant<V>(weight_a), hn::MulAdd(constant<V>(a2), v[2], v[0]));
    const V even_b = hn::Mul(constant<V>(weight_b), hn::MulAdd(constant<V>(b2), v[2], v[0]));
    const V v1 = v[1];
    v[5] = v[2];
    v[0] = hn::Mul(constant<V>(weight_0), v[0]);
    v[1] = hn::MulAdd(constant<V>(weight_a * point_a), v1, even_a);
    v[2] = hn::NegMulAdd(constant<V>(weight_a * point_a), v1, even_a);
    v[3] = hn::MulAdd(constant<V>(weight_b * point_b), v1, even_b);
    v[4] = hn::NegMulAdd(constant<V>(weight_b * point_b), v1, even_b);
  }
};

// G^T, to 3: of gradients by transformed weights.
struct WeightGradientAxis {
  template <class V>
  HWY_INLINE void operator()(V (&v)[4]) const {
    const V even = hn::Mul(constant<V>(0.5f), hn::Add(v[1], v[2]));
    const V odd = hn::Mul(constant<V>(0.5f), hn::Sub(v[1], v[2]));
    v[0] = hn::Add(v[0], even);
    v[1] = odd;
    v[2] = hn::Add(even, v[3]);
  }
  template <class V>
  HWY_INLINE void operator()(V (&v)[6]) const {
    const V even_a = hn::Mul(constant<V>(weight_a), hn::Add(v[1], v[2]));
    const V even_b = hn::Mul(constant<V>(weight_b), hn::Add(v[3], v[4]));
    const V odd_a = hn::Mul(constant<V>(weight_a * point_a), hn::Sub(v[1], v[2]));
    const V odd_b = hn::Mul(constant<V>(weight_b * point_b), hn::Sub(v[3], v[4]));
    v[0] = hn::MulAdd(constant<V>(weight_0), v[0], hn::Add(even_a, even_b));
    v[1] = hn::Add(odd_a, odd_b);
    v[2] = hn::MulAdd(constant<V>(a2), even_a, hn::MulAdd(constant<V>(b2), even_b, v[5]));
  }
};

// Applies `axis` to the `from` columns and then to the rows of a tile, of which it makes `to`:
// load(column, v) fills v[0 … from), store(row, v) takes v[0 … to). Only rows [begin, end) are
// made.
template <int size, int from, int to, class D, class Axis, class Load, class Store>
HWY_INLINE void transform(D, const Axis& axis, int begin, int end, const Load& load,
                          const Store& store) {
  using V = hn::Vec<D>;
  V columns[to][from];
  for (int j = 0; j < from; ++j) {
    V v[size];
    load(j, v);
    axis(v);
    unrolled<to>([&](auto i) HWY_ATTR { columns[i][j] = v[i]; });
  }
  for (int i = begin; i < end; ++i) {
    V v[size];
    unrolled<from>([&](auto j) HWY_ATTR { v[j] = columns[i][j]; });
    axis(v);
    store(i, v);
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard for each target
