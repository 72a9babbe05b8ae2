#include "arrays.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

namespace cudnn_double {

namespace {

float of_half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  float value = 0;
  if (exponent == 31) {
    value = mantissa ? std::numeric_limits<float>::quiet_NaN() : INFINITY;
  } else {
    value = exponent ? std::ldexp(float(mantissa + 1024), exponent - 25)
                     : std::ldexp(float(mantissa), -24);
  }
  return bits & 0x8000 ? -value : value;
}

uint16_t to_half(float value) {
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const float size = std::fabs(value);
  if (std::isnan(value)) return uint16_t(sign | 0x7e00);
  if (size >= 65520.f) return uint16_t(sign | 0x7c00);
  const int exponent = size == 0.f ? -14 : std::max(std::ilogb(size), -14);
  const int mantissa = int(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return uint16_t(sign | (((exponent + 14) << 10) + mantissa));
}

float of_brain(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

uint16_t to_brain(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return uint16_t((bits >> 16) | 0x40);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

Dims select(const Dims& from, const Dims& axes) {
  Dims selected;
  for (const int64_t axis : axes) selected.push_back(from[size_t(axis)]);
  return selected;
}

}  // namespace

float rounded(Type type, double value) {
  const auto single = float(value);
  if (type == Type::brain16) return of_brain(to_brain(single));
  if (type == Type::real16) return of_half(to_half(single));
  return single;
}

Dims packed(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

int64_t product(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

Dims all_axes(const Tensor& t) {
  Dims axes(t.dims.size());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

Doubles take(const Tensor& t, const Array& array, const Dims& axes) {
  Doubles taken(array.size());
  const Dims dims = select(t.dims, axes), from = select(packed(t.dims), axes);
  walk<2>(dims, {packed(dims), from}, [&](const auto& at) {
    for (int64_t i = 0; i < dims.back(); ++i) taken[at[0] + i] = array[at[1] + i * from.back()];
  });
  return taken;
}

Array put(const Tensor& t, const Doubles& values, const Dims& axes) {
  Array array(values.size());
  const Dims dims = select(t.dims, axes), to = select(packed(t.dims), axes);
  walk<2>(dims, {packed(dims), to}, [&](const auto& at) {
    for (int64_t i = 0; i < dims.back(); ++i) {
      array[at[1] + i * to.back()] = rounded(t.type, values[at[0] + i]);
    }
  });
  return array;
}

Dims broadcast(const Tensor& t, const Dims& dims) {
  if (t.count() == 1) return Dims(dims.size(), 0);
  if (t.dims.size() != dims.size()) throw Refused("operands differ in their number of dims");
  Dims strides = packed(t.dims);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (t.dims[i] != 1 && t.dims[i] != dims[i]) throw Refused("operands' dims do not go together");
    if (t.dims[i] == 1) strides[i] = 0;
  }
  return strides;
}

void multiply(int64_t m, int64_t n, int64_t k, const double* a, const double* b, double* c) {
  for (int64_t i = 0; i < m; ++i) {
    double* __restrict row = c + i * n;
    const double* factor = a + i * k;
    int64_t l = 0;
    for (; l + 4 <= k; l += 4) {
      const double *b0 = b + l * n, *b1 = b0 + n, *b2 = b1 + n, *b3 = b2 + n;
      const double f0 = factor[l], f1 = factor[l + 1], f2 = factor[l + 2], f3 = factor[l + 3];
      for (int64_t j = 0; j < n; ++j) {
        row[j] += (f0 * b0[j] + f1 * b1[j]) + (f2 * b2[j] + f3 * b3[j]);
      }
    }
    for (; l < k; ++l) {
      for (int64_t j = 0; j < n; ++j) row[j] += factor[l] * b[l * n + j];
    }
  }
}

Doubles transposed(int64_t rows, int64_t columns, const double* from) {
  Doubles to(size_t(rows * columns));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
  }
  return to;
}

size_t Tensor::count() const { return size_t(product(dims)); }

size_t Tensor::element_bytes() const { return type == Type::real32 ? 4 : 2; }

size_t Tensor::span_bytes() const {
  int64_t last = 0;
  for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
  return size_t(last + 1) * element_bytes();
}

Array load(const Tensor& t, const void* data) {
  Array array(t.count());
  const auto* bytes = static_cast<const std::byte*>(data);
  walk<2>(t.dims, {packed(t.dims), t.strides}, [&](const auto& at) {
    for (int64_t i = 0; i < t.dims.back(); ++i) {
      const size_t place = size_t(at[1] + i * t.strides.back()) * t.element_bytes();
      if (t.type == Type::real32) {
        std::memcpy(&array[at[0] + i], bytes + place, 4);
      } else {
        uint16_t bits = 0;
        std::memcpy(&bits, bytes + place, 2);
        array[at[0] + i] = t.type == Type::real16 ? of_half(bits) : of_brain(bits);
      }
    }
  });
  return array;
}

void store(const Tensor& t, const Array& array, void* data) {
  auto* bytes = static_cast<std::byte*>(data);
  walk<2>(t.dims, {packed(t.dims), t.strides}, [&](const auto& at) {
    for (int64_t i = 0; i < t.dims.back(); ++i) {
      const size_t place = size_t(at[1] + i * t.strides.back()) * t.element_bytes();
      const float value = array[at[0] + i];
      if (t.type == Type::real32) {
        std::memcpy(bytes + place, &value, 4);
      } else {
        const uint16_t bits = t.type == Type::real16 ? to_half(value) : to_brain(value);
        std::memcpy(bytes + place, &bits, 2);
      }
    }
  });
}

void poison(const Tensor& t, void* data) {
  store(t, Array(t.count(), std::numeric_limits<float>::quiet_NaN()), data);
}

bool share_memory(const Tensor& a, const void* a_data, const Tensor& b, const void* b_data) {
  const auto *first = static_cast<const std::byte*>(a_data),
             *second = static_cast<const std::byte*>(b_data);
  if (first + a.span_bytes() <= second || second + b.span_bytes() <= first) return false;
  // Within one span the elements may still lie between one another, as those of packed q, k and v
  // do. No type is narrower than two bytes.
  const auto* const begin = std::min(first, second);
  const auto* const end = std::max(first + a.span_bytes(), second + b.span_bytes());
  std::vector<bool> taken(size_t(end - begin) / 2 + 1);
  const auto visit = [&](const Tensor& t, const std::byte* from, auto each) {
    const int64_t halves = int64_t(t.element_bytes()) / 2, start = (from - begin) / 2;
    walk<1>(t.dims, {t.strides}, [&](const auto& at) {
      for (int64_t i = 0; i < t.dims.back() * halves; ++i) {
        each(size_t(start + (at[0] + i / halves * t.strides.back()) * halves + i % halves));
      }
    });
  };
  visit(a, first, [&](size_t place) { taken[place] = true; });
  bool shared = false;
  visit(b, second, [&](size_t place) { shared = shared || taken[place]; });
  return shared;
}

}  // namespace cudnn_double
