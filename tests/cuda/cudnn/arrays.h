// Tensors of a plan and their elements on the host: rounding to a tensor's type, axes in any order,
// products of matrices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace cudnn_double {

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Type { real32, real16, brain16 };

using Dims = std::vector<int64_t>;

// A tensor's elements in row-major order of its dims, whatever its strides.
using Array = std::vector<float>;
using Doubles = std::vector<double>;

struct Tensor {
  int64_t id = 0;
  Type type = Type::real32;
  Dims dims;
  Dims strides;  // in elements
  int64_t alignment = 1;
  bool is_virtual = false;   // has no memory
  bool by_value = false;     // a scalar in the host's memory
  bool is_output = false;    // written by a node
  bool is_input = false;     // read by a node and written by none
  bool read_across = false;  // elements are read elsewhere than where they stand, so never in place

  size_t count() const;
  size_t element_bytes() const;
  size_t span_bytes() const;  // from the first element to the end of the last
};

// As the type holds it, nearest even.
float rounded(Type type, double value);

// Strides of row-major elements.
Dims packed(const Dims& dims);
int64_t product(const Dims& dims);

// Visits the elements of `dims` in rows of the last of them, with the offset of each row's first
// element by each of the strides.
template <size_t n, class Visit>
void walk(const Dims& dims, const std::array<Dims, n>& strides, Visit visit) {
  std::array<int64_t, n> offsets{};
  Dims at(dims.size(), 0);
  for (;;) {
    visit(offsets);
    size_t axis = dims.size() - 1;
    for (;;) {
      if (axis == 0) return;
      --axis;
      const bool more = ++at[axis] < dims[axis];
      for (size_t i = 0; i < n; ++i) offsets[i] += strides[i][axis] * (more ? 1 : 1 - dims[axis]);
      if (more) break;
      at[axis] = 0;
    }
  }
}

Dims all_axes(const Tensor& t);
// The elements in row-major order of the given axes, and back.
Doubles take(const Tensor& t, const Array& array, const Dims& axes);
Array put(const Tensor& t, const Doubles& values, const Dims& axes);

// Strides by which `t` stands for a tensor of `dims`.
Dims broadcast(const Tensor& t, const Dims& dims);

// c += a b for row-major [m, k] and [k, n]
void multiply(int64_t m, int64_t n, int64_t k, const double* a, const double* b, double* c);
Doubles transposed(int64_t rows, int64_t columns, const double* from);

Array load(const Tensor& tensor, const void* data);
void store(const Tensor& tensor, const Array& array, void* data);
// Fills the tensor's elements, and nothing between them, with NaN.
void poison(const Tensor& tensor, void* data);

// Whether an element of one shares a byte with an element of the other.
bool share_memory(const Tensor& a, const void* a_data, const Tensor& b, const void* b_data);

}  // namespace cudnn_double
