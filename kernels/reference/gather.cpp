#include "kernels/gather.h"

#include <algorithm>
#include <array>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// f(token of the tokens at places, token of the sequence), both counted over all samples.
template <typename F>
void for_places(const View& places, int64_t length, const F& f) {
  const int64_t count = places.shape[1];
  for (int64_t i = 0; i < places.count(); ++i) {
    const int64_t place =
        places.dtype == DType::i32 ? places.as<int32_t>()[i] : places.as<int64_t>()[i];
    if (place >= 0) f(i, i / count * length + place);
  }
}

void gather_tokens(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t features = x.shape[2];
  std::fill_n(y.as<double>(), y.count(), 0.0);
  for_places(call.in[1], x.shape[1], [&](int64_t to, int64_t from) {
    std::copy_n(x.as<double>() + from * features, features, y.as<double>() + to * features);
  });
}

void scatter_tokens(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t features = x.shape[2];
  std::fill_n(y.as<double>(), y.count(), 0.0);
  for_places(call.in[1], y.shape[1], [&](int64_t from, int64_t to) {
    for (int64_t d = 0; d < features; ++d)
      y.as<double>()[to * features + d] += x.as<double>()[from * features + d];
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"gather_tokens", {f64}, gather_tokens},
    KernelEntry{"scatter_tokens", {f64}, scatter_tokens},
};

}  // namespace

std::span<const KernelEntry> gather_kernels() { return table; }

}  // namespace lacuna::reference
