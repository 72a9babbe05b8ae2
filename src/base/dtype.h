// Element types of tensors and of data sets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lacuna {

enum class DType : int64_t { f64, f32, bf16, f16, i64, i32, u16, i16, u8 };

constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
    case DType::u16:
    case DType::i16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

constexpr bool is_float(DType dtype) { return dtype <= DType::f16; }

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "float64";
    case DType::f32:
      return "float32";
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "float16";
    case DType::i64:
      return "int64";
    case DType::i32:
      return "int32";
    case DType::u16:
      return "uint16";
    case DType::i16:
      return "int16";
    case DType::u8:
      return "uint8";
  }
  return "?";
}

// bfloat16 in memory: the upper half of a float, rounded to nearest even.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) {
    uint32_t u;
    std::memcpy(&u, &value, 4);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  explicit operator float() const {
    const uint32_t u = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &u, 4);
    return value;
  }
};

// IEEE half precision in memory, rounded to nearest even.
struct Float16 {
  uint16_t bits = 0;
  Float16() = default;
  explicit Float16(float value) {
    uint32_t u;
    std::memcpy(&u, &value, 4);
    const auto sign = static_cast<uint16_t>(u >> 16 & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) {  // NaN
      bits = static_cast<uint16_t>(sign | 0x7e00u);
    } else if (u >= 0x477ff000u) {  // rounds to 65536 or beyond: infinity
      bits = static_cast<uint16_t>(sign | 0x7c00u);
    } else if (
        u <
        0x38800000u) {  // below 2^-14: multiples of 2^-24, which adding 0.5 leaves in the last bits
      float shifted;
      std::memcpy(&shifted, &u, 4);
      shifted += 0.5f;
      std::memcpy(&u, &shifted, 4);
      bits = static_cast<uint16_t>(sign | (u - 0x3f000000u));
    } else {
      bits = static_cast<uint16_t>(sign | ((u - 0x38000000u + 0xfffu + (u >> 13 & 1u)) >> 13));
    }
  }
  explicit operator float() const {
    const uint32_t exponent = bits >> 10 & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    const float sign = (bits & 0x8000u) != 0 ? -1.f : 1.f;
    if (exponent == 0) return sign * static_cast<float>(mantissa) * 0x1p-24f;
    const uint32_t u = (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13;
    float value;
    std::memcpy(&value, &u, 4);
    return sign * value;
  }
};

template <typename T>
struct dtype_of_type;
template <>
struct dtype_of_type<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of_type<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of_type<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of_type<Float16> {
  static constexpr DType value = DType::f16;
};
template <>
struct dtype_of_type<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct dtype_of_type<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of_type<uint16_t> {
  static constexpr DType value = DType::u16;
};
template <>
struct dtype_of_type<int16_t> {
  static constexpr DType value = DType::i16;
};
template <>
struct dtype_of_type<uint8_t> {
  static constexpr DType value = DType::u8;
};

template <typename T>
inline constexpr DType dtype_of = dtype_of_type<T>::value;

}  // namespace lacuna
