// Tokens at places; bound by memory: what is taken is read once, the result written once. Sums of
// tokens that share a place: threads share samples and bands of features, so that each sum has one
// order; bands of bfloat16 are summed in f32.
#include "kernels/gather.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

int64_t place_of(const View& places, int64_t i) {
  return places.dtype == DType::i32 ? places.as<int32_t>()[i] : places.as<int64_t>()[i];
}

void gather_tokens(const Call& call) {
  const View& x = call.in[0];
  const View& places = call.in[1];
  const View& y = call.out[0];
  const int64_t length = x.shape[1];
  const int64_t count = places.shape[1];
  const size_t bytes = static_cast<size_t>(x.shape[2]) * size_of(x.dtype);
  const auto* from = static_cast<const std::byte*>(x.data);
  auto* to = static_cast<std::byte*>(y.data);
  for_ranges(threads_of(call), places.count(), grain_of(2 * static_cast<int64_t>(bytes)),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t place = place_of(places, i);
                 std::byte* token = to + static_cast<size_t>(i) * bytes;
                 if (place < 0) {
                   std::memset(token, 0, bytes);
                 } else {
                   const auto at = static_cast<size_t>(i / count * length + place);
                   std::memcpy(token, from + at * bytes, bytes);
                 }
               }
             });
}

// Features [begin, end) of one sample.
template <typename T>
void scatter_band(const Call& call, int64_t sample, int64_t begin, int64_t end,
                  std::vector<float>& sums) {
  const View& x = call.in[0];
  const View& places = call.in[1];
  const View& y = call.out[0];
  const int64_t features = x.shape[2];
  const int64_t length = y.shape[1];
  const int64_t width = end - begin;
  sums.assign(static_cast<size_t>(length * width), 0.0f);
  for (int64_t k = 0; k < places.shape[1]; ++k) {
    const int64_t place = place_of(places, sample * places.shape[1] + k);
    if (place < 0) continue;
    const T* token = x.as<T>() + (sample * x.shape[1] + k) * features + begin;
    float* sum = sums.data() + place * width;
    for (int64_t d = 0; d < width; ++d) sum[d] += static_cast<float>(token[d]);
  }
  for (int64_t place = 0; place < length; ++place) {
    T* token = y.as<T>() + (sample * length + place) * features + begin;
    for (int64_t d = 0; d < width; ++d) token[d] = T(sums[static_cast<size_t>(place * width + d)]);
  }
}

void scatter_tokens(const Call& call) {
  constexpr int64_t most = 64;  // features of a band
  const View& y = call.out[0];
  const int64_t features = y.shape[2];
  const int64_t bands = (features + most - 1) / most;
  const int64_t bytes = (y.shape[1] + call.in[0].shape[1]) * std::min(features, most) * 4;
  for_ranges(threads_of(call), y.shape[0] * bands, grain_of(bytes),
             [&](int64_t begin, int64_t end) {
               std::vector<float> sums;
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t from = i % bands * most;
                 const int64_t to = std::min(features, from + most);
                 if (y.dtype == DType::bf16) {
                   scatter_band<BFloat16>(call, i / bands, from, to, sums);
                 } else {
                   scatter_band<float>(call, i / bands, from, to, sums);
                 }
               }
             });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"gather_tokens", {f32, bf16}, gather_tokens},
    KernelEntry{"scatter_tokens", {f32, bf16}, scatter_tokens},
};

}  // namespace

std::span<const KernelEntry> gather_kernels() { return table; }

}  // namespace lacuna::cpu
