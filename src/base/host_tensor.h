// HostTensor: an array in host memory that owns its bytes; how samples, batches and checkpoints
// travel outside the graph. Move-only; 64-byte aligned; contents undefined until written.
//
// From 256 KiB on, memory comes from the system and goes back to it at once: malloc would keep what
// threads free of batches and blocks, several times the memory in use (measured: 310 MB for 75).
#pragma once

#include <sys/mman.h>

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

  // The elements, as the type they are; a wrong type is a broken precondition.
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
    Free() : mapped(0) {}
    explicit Free(size_t bytes) : mapped(bytes) {}
    size_t mapped;  // bytes from the system; 0: from malloc
    void operator()(void* p) const {
      if (mapped > 0) {
        munmap(p, mapped);
      } else {
        std::free(p);
      }
    }
  };
  using Memory = std::unique_ptr<void, Free>;
  static Memory allocate(size_t bytes) {
    if (bytes >= (size_t{1} << 18)) {
      void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (p == MAP_FAILED) throw std::bad_alloc();
      return Memory(p, Free(bytes));
    }
    void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (p == nullptr) throw std::bad_alloc();
    return Memory(p, Free());
  }
  DType dtype_ = DType::f32;
  Shape shape_;
  Memory data_;
};

}  // namespace lacuna
