// What a plan of cuDNN computes, on the host: the operation graph that the plan describes, node by
// node, with every result rounded to its tensor's type. What is not known is refused, never left
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace cudnn_double {

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Type { real32, real16, brain16 };

using Dims = std::vector<int64_t>;

// A tensor's elements in row-major order of its dims, whatever its strides.
using Array = std::vector<float>;

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

struct Plan {
  std::vector<Tensor> tensors;
  std::vector<std::function<void(std::vector<Array>&)>> steps;  // on one array per tensor
};

// `description` is a plan's JSON, which further bytes may follow. Throws Refused.
Plan interpret(const std::string& description);

Array load(const Tensor& tensor, const void* data);
void store(const Tensor& tensor, const Array& array, void* data);
// Fills the tensor's elements, and nothing between them, with NaN.
void poison(const Tensor& tensor, void* data);

// Whether an element of one shares a byte with an element of the other.
bool share_memory(const Tensor& a, const void* a_data, const Tensor& b, const void* b_data);

}  // namespace cudnn_double
