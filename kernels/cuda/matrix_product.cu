// The sum over rows, beside matrix products (which the library makes): n bytes an element read.
#include "kernels/matrix_product.h"

#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"

namespace lacuna::cuda {

namespace {

template <typename T>
struct ElementTerms : PlainTerms {
  static constexpr int count = 1;
  const T* x;

  template <int width>
  __device__ void add(Nothing, int64_t first, double (&sums)[count][width]) const {
    float values[width];
    load_group(x + first, values);
    for (int e = 0; e < width; ++e) sums[0][e] += static_cast<double>(values[e]);
  }
};

template <typename Out>
struct WriteSum {
  Out* sums;
  __device__ void operator()(int64_t number, const DoubleDouble& sum) const {
    sums[number] = from_float<Out>(static_cast<float>(sum.value()));
  }
};

}  // namespace

void column_sum(const Call& call) {
  const Shape& shape = call.in[0].shape;
  with_width<most_summed>(call, call.in[0].dtype, shape[-1], [&](auto type, auto width) {
    with_float(call.out[0].dtype, [&](auto out) {
      using T = decltype(type);
      using Out = decltype(out);
      sum_columns<width()>(call, "column_sum", shape, ElementTerms<T>{{}, input<T>(call, 0)},
                           WriteSum<Out>{output<Out>(call)});
    });
  });
}

}  // namespace lacuna::cuda
