// HostTensor: an array in host memory that owns its bytes; how samples, batches and checkpoints
// travel outside the graph. Move-only; 64-byte aligned; contents undefined until written.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "base/dtype.h"
#include "base/shape.h"

namespace lacuna {

class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(DType dtype, const Shape& shape)
      : dtype_(dtype), shape_(shape), data_(allocate(bytes())) {}

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  size_t bytes() const { return static_cast<size_t>(shape_.count()) * size_of(dtype_); }
  bool defined() const { return data_ != nullptr; }
  void* data() { return data_.get(); }
  const void* data() const { return data_.get(); }

  // The elements, as the type they are; a wrong type is a defect of the caller.
  template <typename T>
  std::span<T> as() {
    LACUNA_CHECK(dtype_of<T> == dtype_, "tensor of ", name_of(dtype_));
    return {static_cast<T*>(data_.get()), static_cast<size_t>(shape_.count())};
  }
  template <typename T>
  std::span<const T> as() const {
    LACUNA_CHECK(dtype_of<T> == dtype_, "tensor of ", name_of(dtype_));
    return {static_cast<const T*>(data_.get()), static_cast<size_t>(shape_.count())};
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  static void* allocate(size_t bytes) {
    void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (p == nullptr) throw std::bad_alloc();
    return p;
  }
  DType dtype_ = DType::f32;
  Shape shape_;
  std::unique_ptr<void, Free> data_;
};

}  // namespace lacuna
