// Matrix products in f32, for exact runs and as what there is without the library; the sum over
// rows.
//
// matrix_product makes tiles of 128 x 64 in the registers of a block (8 x 4 a thread) by f32
// multiply-adds from shared memory, of which a thread reads 12 floats for 32 of them: 2 M N K
// FLOPs, which bound it. For M = 50,000 tokens and N = K = 768 that is 59 GFLOP, 1.8 ms at half of
// an H100's 67 TFLOP/s. Sums go in parts of 4096 terms, added in their order: by one block or,
// where tiles do not fill the device (weights' gradients), by as many as there are parts, and a
// second pass that reads 4 M N bytes a part. Either way the bits are the same.
//
// column_sum reads n bytes an element; bound by memory.
#include "kernels/matrix_product.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

constexpr int tile_rows = 128, tile_columns = 64;  // of a block
constexpr int rows_of_thread = 8, columns_of_thread = 4;
constexpr int across = tile_columns / columns_of_thread;
constexpr int depth = 8;             // terms in shared memory at a time
constexpr int64_t part_size = 4096;  // terms of a sum whose rounding is still small

// A matrix whose rows are the rows or columns of the product, and whose columns its terms.
template <typename T>
struct Factor {
  const T* x;
  int64_t rows, terms;
  int64_t of_row, of_term;  // elements from one to the next; one of them is 1,
                            // or both 0 where there are no elements: x may be null then
  Factor(const View& view, int64_t of_rows, int64_t of_terms, bool terms_first)
      : x(static_cast<const T*>(view.data)),
        rows(of_rows),
        terms(of_terms),
        of_row(is_empty(of_rows, of_terms) ? 0
               : terms_first               ? 1
                                           : of_terms),
        of_term(is_empty(of_rows, of_terms) ? 0
                : terms_first               ? of_rows
                                            : 1) {}
  static bool is_empty(int64_t of_rows, int64_t of_terms) { return of_rows == 0 || of_terms == 0; }
};

// What a thread brings of `size` rows and `depth` terms from memory to shared memory: neighbours
// along the axis whose elements are neighbours. 4 more to a line, so that writing goes to different
// banks.
template <int size>
using Panel = float[depth][size + 4];

template <typename T, int size>
struct Loader {
  static constexpr int count = size * depth / block_size;
  const T* from;
  int64_t rows_left;  // from this thread's first on
  int64_t step;       // elements to the thread's next
  int row, term, row_step, term_step;
  float values[count];

  __device__ Loader(const Factor<T>& operand, int64_t begin) {
    const auto thread = static_cast<int>(threadIdx.x);
    const bool along_terms = operand.of_term == 1;
    row = along_terms ? thread / depth : thread % size;
    term = along_terms ? thread % depth : thread / size;
    row_step = along_terms ? block_size / depth : 0;
    term_step = along_terms ? 0 : block_size / size;
    from = operand.x + (begin + row) * operand.of_row + term * operand.of_term;
    step = row_step * operand.of_row + term_step * operand.of_term;
    rows_left = operand.rows - begin - row;
  }
  // Terms from `first` on; zeros beyond either's end.
  __device__ void load(const Factor<T>& operand, int64_t first, int64_t end) {
    const T* x = from + first * operand.of_term;
    const int64_t left = end - first - term;
    for (int i = 0; i < count; ++i) {
      const bool there = i * row_step < rows_left && i * term_step < left;
      values[i] = there ? to_float(x[i * step]) : 0.f;
    }
  }
  __device__ void store(Panel<size>& to) const {
    for (int i = 0; i < count; ++i) to[term + i * term_step][row + i * row_step] = values[i];
  }
};

using Sums = float[rows_of_thread][columns_of_thread];

__device__ inline int row_of_thread() {
  return static_cast<int>(threadIdx.x) / across * rows_of_thread;
}
__device__ inline int column_of_thread() {
  return static_cast<int>(threadIdx.x) % across * columns_of_thread;
}

__device__ inline void multiply(const Panel<tile_rows>& a, const Panel<tile_columns>& b,
                                Sums& sums) {
  for (int k = 0; k < depth; ++k) {
    float x[rows_of_thread / 4][4], y[columns_of_thread];  // 16 bytes are what a line is aligned to
    for (int r = 0; r < rows_of_thread; r += 4) load_group(a[k] + row_of_thread() + r, x[r / 4]);
    load_group(b[k] + column_of_thread(), y);
    for (int r = 0; r < rows_of_thread; ++r)
      for (int c = 0; c < columns_of_thread; ++c)
        sums[r][c] = fmaf(x[r / 4][r % 4], y[c], sums[r][c]);
  }
}

// f32, or the 16 bits of the first operand; which, the kernel learns when it runs.
template <typename Narrow>
struct Floats {
  void* data = nullptr;
  bool is_narrow = false;
  Floats() = default;
  explicit Floats(const View& view) : data(view.data), is_narrow(view.dtype != DType::f32) {}
  __device__ float get(int64_t i) const {
    return is_narrow ? to_float(static_cast<const Narrow*>(data)[i])
                     : static_cast<const float*>(data)[i];
  }
  __device__ void set(int64_t i, float x) const {
    if (is_narrow) {
      static_cast<Narrow*>(data)[i] = from_float<Narrow>(x);
    } else {
      static_cast<float*>(data)[i] = x;
    }
  }
};

template <typename Narrow>
struct Result {
  Floats<Narrow> y, bias;
  __device__ void set(int64_t element, int64_t column, float sum) const {
    y.set(element, bias.data == nullptr ? sum : sum + bias.get(column));
  }
};

// Block (x, y): tile x of the product; part y of its terms, to parts[y] [M, N], or all, to the
// result.
template <typename A, typename B>
__global__ void __launch_bounds__(block_size, 2)
    product_kernel(Factor<A> a, Factor<B> b, float* parts, Result<A> result) {
  alignas(16) __shared__ Panel<tile_rows> panel_a[2];
  alignas(16) __shared__ Panel<tile_columns> panel_b[2];
  const int64_t tiles = (b.rows + tile_columns - 1) / tile_columns;
  const int64_t row = blockIdx.x / tiles * tile_rows;
  const int64_t column = blockIdx.x % tiles * tile_columns;
  Loader<A, tile_rows> load_a(a, row);
  Loader<B, tile_columns> load_b(b, column);
  Sums total = {};
  int at = 0;
  int64_t begin = blockIdx.y * part_size;
  const int64_t last = parts != nullptr ? std::min(begin + part_size, a.terms) : a.terms;
  for (; begin < last; begin += part_size) {
    const int64_t end = std::min(begin + part_size, last);
    Sums sums = {};
    load_a.load(a, begin, end);
    load_b.load(b, begin, end);
    for (int64_t k = begin; k < end; k += depth, at ^= 1) {
      load_a.store(panel_a[at]);  // read last before the barrier before
      load_b.store(panel_b[at]);
      __syncthreads();
      if (k + depth < end) {  // on their way while these are multiplied
        load_a.load(a, k + depth, end);
        load_b.load(b, k + depth, end);
      }
      multiply(panel_a[at], panel_b[at], sums);
    }
    for (int r = 0; r < rows_of_thread; ++r)
      for (int c = 0; c < columns_of_thread; ++c) total[r][c] += sums[r][c];
  }
#pragma unroll  // sums stay in registers
  for (int r = 0; r < rows_of_thread; ++r) {
#pragma unroll
    for (int c = 0; c < columns_of_thread; ++c) {
      const int64_t m = row + row_of_thread() + r;
      const int64_t n = column + column_of_thread() + c;
      if (m >= a.rows || n >= b.rows) continue;
      if (parts != nullptr) {
        parts[(blockIdx.y * a.rows + m) * b.rows + n] = total[r][c];
      } else {
        result.set(m * b.rows + n, n, total[r][c]);
      }
    }
  }
}

template <typename Narrow>
__global__ void __launch_bounds__(block_size)
    add_parts_kernel(const float* parts, int64_t part_count, int64_t count, int64_t columns,
                     Result<Narrow> result) {
  for (GridCursor at(columns); at.element < count; at.next()) {
    float sum = 0;
    for (int64_t part = 0; part < part_count; ++part) sum += parts[part * count + at.element];
    result.set(at.element, at.column, sum);
  }
}

template <typename A, typename B>
void launch_product(const Call& call, const MatrixProduct& p) {
  using Operand = operands::MatrixProduct;
  const Factor<A> a(call.in[Operand::a], p.m, p.k, p.transpose_a != 0);
  const Factor<B> b(call.in[Operand::b], p.n, p.k, p.transpose_b == 0);
  const Result<A> result{Floats<A>(call.out[Operand::y]),
                         p.bias ? Floats<A>(call.in[Operand::bias]) : Floats<A>()};
  const int64_t tiles =
      (p.m + tile_rows - 1) / tile_rows * ((p.n + tile_columns - 1) / tile_columns);
  const int64_t part_count = (p.k + part_size - 1) / part_size;
  if (tiles == 0) return;
  if (part_count <= 1 || tiles >= context_of(call).blocks()) {
    launch_grid(call, "matrix_product", dim3(static_cast<unsigned>(tiles)), product_kernel<A, B>, a,
                b, static_cast<float*>(nullptr), result);
    return;
  }
  const int64_t count = p.m * p.n;
  auto* parts = static_cast<float*>(
      call.context.scratch(static_cast<size_t>(part_count * count) * sizeof(float)));
  launch_grid(call, "matrix_product",
              dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(part_count)),
              product_kernel<A, B>, a, b, parts, result);
  launch(call, "matrix_product", count, add_parts_kernel<A>, static_cast<const float*>(parts),
         part_count, count, p.n, result);
}

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

void matrix_product(const Call& call) {
  using Operand = operands::MatrixProduct;
  const auto p = call.attributes.as<MatrixProduct>();
  const DType dtype = call.in[Operand::a].dtype;
  for (const View& other :
       {call.in[Operand::b], p.bias ? call.in[Operand::bias] : call.in[Operand::b],
        call.out[Operand::y]})
    LACUNA_CHECK(other.dtype == dtype || other.dtype == DType::f32, name_of(other.dtype));
  with_float(dtype, [&](auto type) {
    using A = decltype(type);
    if (call.in[Operand::b].dtype == dtype) return launch_product<A, A>(call, p);
    launch_product<A, float>(call, p);
  });
}

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

using enum DType;

constexpr std::array table = {
    KernelEntry{"matrix_product", {f32, bf16, f16}, matrix_product},
    KernelEntry{"column_sum", {f32, bf16, f16}, column_sum},
};

}  // namespace

std::span<const KernelEntry> matrix_product_kernels() { return table; }

}  // namespace lacuna::cuda
