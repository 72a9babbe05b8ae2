// Layouts for the library's convolutions against plain loops.
#include "kernels/cuda/support/weights.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

#include "backend/host_memory.h"
#include "kernels/cuda/support/launch.h"

namespace lacuna::cuda {

namespace {

class Context final : public CudaContext {
 public:
  void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
  cudaStream_t stream() override { return nullptr; }
  int64_t blocks() const override { return 3; }
  Cudnn& cudnn() override { throw std::logic_error("layouts do not ask for the library"); }

 private:
  HostScratch scratch_;
};

// Calls f(call) on a device of few blocks.
template <typename F>
void with_call(F f) {
  Context context;
  const Attributes none;
  f(Call{{}, {}, none, context});
}

template <typename T>
constexpr DType type = std::is_same_v<T, Bf16> ? DType::bf16 : DType::f32;

template <typename T>
std::vector<T> numbers(int64_t count) {
  std::vector<T> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = from_float<T>(0.37f * static_cast<float>(i % 1009) - 100);
  return x;
}

// What must be overwritten.
template <typename T>
std::vector<T> unset(int64_t count) {
  return std::vector<T>(static_cast<size_t>(count), from_float<T>(-7));
}

template <typename T>
bool equal(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](T x, T y) { return to_float(x) == to_float(y); });
}

struct Sizes {
  int64_t k, c, taps, padded_k, padded_c;
};

// f(number in [K, C, taps], number in [K', taps, C'])
template <typename F>
void for_elements(const Sizes& s, F f) {
  for (int64_t k = 0; k < s.k; ++k)
    for (int64_t c = 0; c < s.c; ++c)
      for (int64_t tap = 0; tap < s.taps; ++tap)
        f(static_cast<size_t>((k * s.c + c) * s.taps + tap),
          static_cast<size_t>((k * s.taps + tap) * s.padded_c + c));
}

template <typename From, typename To>
void check_filters(const Sizes& s) {
  INFO(s.k << " x " << s.c << " x " << s.taps << ", padded " << s.padded_k << " x " << s.padded_c
           << ", " << name_of(type<From>) << " to " << name_of(type<To>));
  const int64_t count = s.k * s.c * s.taps;
  const int64_t padded = s.padded_k * s.padded_c * s.taps;
  with_call([&](const Call& call) {
    const auto x = numbers<From>(count);
    auto y = unset<To>(padded);
    std::vector<To> expected(static_cast<size_t>(padded), from_float<To>(0));
    for_elements(
        s, [&](size_t at, size_t there) { expected[there] = from_float<To>(to_float(x[at])); });
    to_channels_last(call, x.data(), type<From>, y.data(), type<To>, s.k, s.c, s.taps, s.padded_k,
                     s.padded_c);
    CHECK(equal(y, expected));
  });
  with_call([&](const Call& call) {
    const auto x = numbers<From>(padded);
    auto y = unset<To>(count);
    auto expected = y;
    for_elements(
        s, [&](size_t at, size_t there) { expected[at] = from_float<To>(to_float(x[there])); });
    from_channels_last(call, x.data(), type<From>, y.data(), type<To>, s.k, s.c, s.taps, s.padded_k,
                       s.padded_c);
    CHECK(equal(y, expected));
  });
}

template <typename T>
void check_channels(int64_t rows, int64_t c, int64_t padded_c, size_t offset) {
  INFO(rows << " x " << c << " to " << padded_c << ", " << name_of(type<T>) << " from " << offset
            << " on");
  with_call([&](const Call& call) {
    const auto x = numbers<T>(rows * c);
    auto y = unset<T>(rows * padded_c + static_cast<int64_t>(offset));
    auto expected = y;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t at = 0; at < padded_c; ++at)
        expected[offset + static_cast<size_t>(row * padded_c + at)] =
            at < c ? x[static_cast<size_t>(row * c + at)] : from_float<T>(0);
    pad_channels(call, x.data(), y.data() + offset, type<T>, rows, c, padded_c);
    CHECK(equal(y, expected));
    auto back = unset<T>(rows * c);
    drop_channels(call, y.data() + offset, back.data(), type<T>, rows, c, padded_c);
    CHECK(equal(back, x));
  });
}

}  // namespace

TEST_CASE("cuda filters go to channels-last and back, padded, in both types") {
  for (const Sizes& s :
       {Sizes{5, 3, 49, 8, 8}, Sizes{3, 70, 9, 3, 72}, Sizes{2, 33, 1, 4, 40}, Sizes{4, 8, 1, 4, 8},
        Sizes{4, 8, 1, 6, 8}, Sizes{2, 3, 130, 2, 3}, Sizes{1, 1, 27, 8, 8}, Sizes{7, 64, 3, 7, 64},
        Sizes{2, 5, 65, 3, 101}, Sizes{0, 3, 9, 0, 8}, Sizes{0, 3, 1, 0, 8}}) {
    check_filters<float, float>(s);
    check_filters<float, Bf16>(s);
    check_filters<Bf16, float>(s);
    check_filters<Bf16, Bf16>(s);
  }
}

TEST_CASE("cuda filters come back from channels-last as they were") {
  with_call([](const Call& call) {
    const Sizes s{6, 37, 25, 8, 40};
    const auto x = numbers<float>(s.k * s.c * s.taps);
    auto y = unset<float>(s.padded_k * s.padded_c * s.taps);
    auto back = unset<float>(s.k * s.c * s.taps);
    to_channels_last(call, x.data(), DType::f32, y.data(), DType::f32, s.k, s.c, s.taps, s.padded_k,
                     s.padded_c);
    from_channels_last(call, y.data(), DType::f32, back.data(), DType::f32, s.k, s.c, s.taps,
                       s.padded_k, s.padded_c);
    CHECK(equal(back, x));
  });
}

TEST_CASE("cuda channels are padded with zeros, and dropped again") {
  for (const size_t offset : {0, 1}) {
    for (const auto& [rows, c, padded_c] : {std::array<int64_t, 3>{1000, 3, 8},
                                            {77, 3, 4},
                                            {5, 13, 16},
                                            {9, 10, 11},
                                            {6, 8, 8},
                                            {0, 3, 8}}) {
      check_channels<float>(rows, c, padded_c, offset);
      check_channels<Bf16>(rows, c, padded_c, offset);
    }
  }
}

TEST_CASE("cuda conversion to another type rounds to nearest") {
  with_call([](const Call& call) {
    const auto x = numbers<float>(1003);
    auto narrow = unset<Bf16>(1003);
    std::vector<Bf16> expected;
    for (const float value : x) expected.push_back(from_float<Bf16>(value));
    convert(call, x.data(), DType::f32, narrow.data(), DType::bf16, 1003);
    CHECK(equal(narrow, expected));
    auto wide = unset<float>(1003);
    convert(call, narrow.data(), DType::bf16, wide.data(), DType::f32, 1003);
    for (size_t i = 0; i < wide.size(); ++i) REQUIRE(wide[i] == to_float(narrow[i]));
    convert(call, x.data(), DType::f32, wide.data(), DType::f32, 1003);
    CHECK(wide == x);
  });
}

}  // namespace lacuna::cuda
