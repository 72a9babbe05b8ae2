// Shape: the sizes of a tensor's axes, outermost first; at most eight axes, no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

#include "base/error.h"

namespace lacuna {

class Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
    LACUNA_CHECK(sizes.size() <= max_rank);
    for (int axis = 0; axis < rank_; ++axis)
      sizes_[static_cast<size_t>(axis)] = sizes[static_cast<size_t>(axis)];
  }

  int rank() const { return rank_; }
  // Negative axes count from the end.
  int64_t operator[](int axis) const {
    if (axis < 0) axis += rank_;
    LACUNA_CHECK(axis >= 0 && axis < rank_, "axis ", axis, " of a tensor with ", rank_, " axes");
    return sizes_[static_cast<size_t>(axis)];
  }
  void set(int axis, int64_t size) {
    if (axis < 0) axis += rank_;
    LACUNA_CHECK(axis >= 0 && axis < rank_);
    sizes_[static_cast<size_t>(axis)] = size;
  }
  // Number of elements; 1 for a scalar (rank 0).
  int64_t count() const {
    int64_t n = 1;
    for (int axis = 0; axis < rank_; ++axis) n *= sizes_[static_cast<size_t>(axis)];
    return n;
  }
  // The axes from `first` on, up to but without `last`.
  Shape slice(int first, int last) const {
    return Shape(
        std::span(sizes_).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
  }
  Shape from(int first) const { return slice(first, rank_); }
  // This shape with one more axis in front.
  Shape behind(int64_t size) const {
    std::array<int64_t, max_rank + 1> all{};
    all[0] = size;
    for (int axis = 0; axis < rank_; ++axis)
      all[static_cast<size_t>(axis) + 1] = sizes_[static_cast<size_t>(axis)];
    return Shape(std::span<const int64_t>(all.data(), static_cast<size_t>(rank_) + 1));
  }
  std::span<const int64_t> sizes() const { return {sizes_.data(), static_cast<size_t>(rank_)}; }
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<int64_t, max_rank> sizes_{};  // zero beyond rank_, so that == compares all
  int rank_ = 0;
};

// [128, 32, 32, 3]
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int axis = 0; axis < shape.rank(); ++axis) out << (axis ? ", " : "") << shape[axis];
  return out << ']';
}

}  // namespace lacuna
