// What every kernel is: a function over raw pointers and sizes, on one device.
//
// Conventions that cross all kernels
//   * Arrays are dense, last axis fastest. Activations are channels-last: [B, spatial…, C].
//     Convolution weights are [C_out, C_in, kernel…], matrix weights [out, in]: PyTorch's layout.
//   * Shape letters: B batch, H W height and width, C channels, D features, L length, N rows,
//     R ranks, G rows of the global batch.
//   * Outputs are overwritten, never added to (the graph adds with its own operation). Output 0 may
//     be the memory of an input of the same size where the operation is listed as `in_place`.
//   * Any axis of rows may have size 0: a rank may hold none of the batch.
//   * `scratch` memory belongs to the context and holds nothing from one call to the next.
//   * Statistics and losses are summed in double on the CPU; every sum has a fixed order for a
//     given number of threads, so that a run repeats bit for bit.
//   * A kernel checks nothing: src/ops has done so, once.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/dtype.h"
#include "base/random.h"
#include "base/shape.h"

namespace lacuna {

// The parameters of an operation: a plain struct of 8-byte members (no padding, so that equal
// parameters have equal bytes), at most `capacity` bytes, with an identity that no other such
// struct has and that is the same in every build and module:
//   static constexpr uint64_t id = hash_name("<name of the struct>");
class Attributes {
 public:
  static constexpr size_t capacity = 256;

  Attributes() = default;
  template <typename T>
  requires(!std::is_same_v<T, Attributes>) Attributes(const T& parameters)
      : id_(T::id), size_(sizeof(T)) {  // NOLINT: conversion is the purpose
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= capacity && sizeof(T) % 8 == 0);
    std::memcpy(bytes_.data(), &parameters, sizeof(T));
  }
  template <typename T>
  T as() const {
    LACUNA_CHECK(T::id == id_ && sizeof(T) == size_, "attributes of another operation");
    T parameters;
    std::memcpy(&parameters, bytes_.data(), sizeof(T));
    return parameters;
  }
  // Of which struct they are; 0: there are none.
  uint64_t id() const { return id_; }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), size_}; }

 private:
  std::array<std::byte, capacity> bytes_{};
  uint64_t id_ = 0;
  size_t size_ = 0;
};

// One operand of a kernel.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  template <typename T>
  T* as() const {
    LACUNA_CHECK(dtype_of<T> == dtype, "a kernel for ", name_of(dtype_of<T>), " was given ",
                 name_of(dtype));
    return static_cast<T*>(data);
  }
  int64_t count() const { return shape.count(); }
};

// What a device lends its kernels; each device derives its own (threads, library handles).
class KernelContext {
 public:
  virtual ~KernelContext() = default;
  // At least `bytes` of memory of the device, 64-byte aligned, valid until the next call.
  virtual void* scratch(size_t bytes) = 0;
};

struct Call {
  std::span<const View> in;
  std::span<const View> out;
  const Attributes& attributes;
  KernelContext& context;
};

using Kernel = void (*)(const Call&);

// A set of element types.
class DTypes {
 public:
  constexpr DTypes(std::initializer_list<DType> dtypes) {
    for (const DType dtype : dtypes) bits_ |= bit(dtype);
  }
  constexpr bool contains(DType dtype) const { return (bits_ & bit(dtype)) != 0; }

 private:
  static constexpr uint32_t bit(DType dtype) { return uint32_t{1} << static_cast<int>(dtype); }
  uint32_t bits_ = 0;
};

// A line of a device's table of kernels. `dtypes` are those that the first input may have. Each
// source in kernels/<device> ends with its lines, behind a function that is named after it
// (elementwise.cpp: elementwise_kernels()); the build joins those of all files.
struct KernelEntry {
  std::string_view operation;
  DTypes dtypes;
  Kernel kernel;
};

// nullptr where the table has none.
inline Kernel find_kernel(std::span<const KernelEntry> table, std::string_view operation,
                          DType dtype) {
  for (const KernelEntry& entry : table) {
    if (entry.operation == operation && entry.dtypes.contains(dtype)) return entry.kernel;
  }
  return nullptr;
}

}  // namespace lacuna
