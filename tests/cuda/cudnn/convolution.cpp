#include <algorithm>
#include <array>

#include "steps.h"

namespace cudnn_double {

namespace {

// Sizes over space, of three axes always.
struct Geometry {
  int64_t batch = 0, channels = 0, filters = 0, taps = 1, positions = 1, pixels = 1;
  std::array<int64_t, 3> x, w, y, pad, stride, dilation;

  // Which row of the image's channels meets this tap at this output, or -1 in the padding.
  int64_t source(int64_t position, int64_t tap) const {
    std::array<int64_t, 3> at{};
    for (size_t i = 3; i-- > 0; position /= y[i], tap /= w[i]) {
      at[i] = position % y[i] * stride[i] - pad[i] + tap % w[i] * dilation[i];
      if (at[i] < 0 || at[i] >= x[i]) return -1;
    }
    return ((position * x[0] + at[0]) * x[1] + at[1]) * x[2] + at[2];
  }
};

Dims channels_last(const Tensor& t) {
  Dims axes = all_axes(t);
  std::rotate(axes.begin() + 1, axes.begin() + 2, axes.end());
  return axes;
}

Geometry read_geometry(Builder& b, size_t x, size_t w, size_t y) {
  const size_t space = b.dims(x).size() - 2;
  b.fields.require(b.dims(x).size() >= 3 && space <= 3 && b.dims(w).size() == space + 2 &&
                       b.dims(y).size() == space + 2,
                   "needs one to three axes of space");
  const bool differ = b.fields.has("pad_lower");
  const auto before = b.fields.get<Dims>(differ ? "pad_lower" : "pad");
  const auto after = b.fields.get<Dims>(differ ? "pad_upper" : "pad");
  const auto stride = b.fields.get<Dims>("stride"), dilation = b.fields.get<Dims>("dilation");
  for (const Dims* each : {&before, &after, &stride, &dilation}) {
    b.fields.require(each->size() == space,
                     "padding, stride and dilation are of each axis of space");
  }
  Geometry g;
  g.x = g.w = g.y = g.stride = g.dilation = {1, 1, 1};
  g.pad = {};
  g.batch = b.dims(x)[0], g.channels = b.dims(x)[1], g.filters = b.dims(w)[0];
  for (size_t i = 0; i < space; ++i) {
    const size_t axis = i + 3 - space;
    g.x[axis] = b.dims(x)[i + 2], g.w[axis] = b.dims(w)[i + 2], g.y[axis] = b.dims(y)[i + 2];
    g.pad[axis] = before[i], g.stride[axis] = stride[i], g.dilation[axis] = dilation[i];
    const int64_t room = g.x[axis] + before[i] + after[i] - dilation[i] * (g.w[axis] - 1) - 1;
    b.fields.require(room >= 0 && room / stride[i] + 1 == g.y[axis], "sizes do not go together");
  }
  b.fields.require(
      b.dims(w)[1] == g.channels && b.dims(y)[0] == g.batch && b.dims(y)[1] == g.filters,
      "channels or batches do not go together");
  for (size_t i = 0; i < 3; ++i) g.taps *= g.w[i], g.positions *= g.y[i], g.pixels *= g.x[i];
  g.positions *= g.batch;
  return g;
}

// What each of `count` outputs sees: [count, taps, channels], zeros in the padding.
Doubles windows(const Geometry& g, const Doubles& x, int64_t first, int64_t count) {
  Doubles seen(size_t(count * g.taps * g.channels));
  for (int64_t i = 0; i < count * g.taps; ++i) {
    const int64_t row = g.source(first + i / g.taps, i % g.taps);
    if (row >= 0) std::copy_n(&x[row * g.channels], g.channels, &seen[i * g.channels]);
  }
  return seen;
}

void add_windows(const Geometry& g, const Doubles& seen, int64_t first, int64_t count, Doubles& x) {
  for (int64_t i = 0; i < count * g.taps; ++i) {
    const int64_t row = g.source(first + i / g.taps, i % g.taps);
    if (row < 0) continue;
    for (int64_t c = 0; c < g.channels; ++c) x[row * g.channels + c] += seen[i * g.channels + c];
  }
}

// x [batch, space, channels], w [filters, taps, channels], y [batch, space, filters]
void convolve(Convolution which, const Geometry& g, Doubles& x, Doubles& w, Doubles& y) {
  const int64_t width = g.taps * g.channels, block = 64;
  const Doubles forward =
      which == Convolution::forward ? transposed(g.filters, width, w.data()) : w;
  for (int64_t first = 0; first < g.positions; first += block) {
    const int64_t count = std::min(block, g.positions - first);
    double* const outputs = &y[first * g.filters];
    if (which == Convolution::data) {
      Doubles seen(size_t(count * width));
      multiply(count, width, g.filters, outputs, w.data(), seen.data());
      add_windows(g, seen, first, count, x);
      continue;
    }
    const Doubles seen = windows(g, x, first, count);
    if (which == Convolution::forward) {
      multiply(count, g.filters, width, seen.data(), forward.data(), outputs);
    } else {
      const Doubles gradients = transposed(count, g.filters, outputs);
      multiply(g.filters, width, count, gradients.data(), seen.data(), w.data());
    }
  }
}

}  // namespace

Step convolution(Builder& b, Convolution which) {
  const bool forward = which == Convolution::forward, data = which == Convolution::data;
  const bool filter = which == Convolution::filter;
  const size_t x = data ? b.output("dX") : b.input("X", true);
  const size_t w = filter ? b.output("dW") : b.input("W", true);
  const size_t y = forward ? b.output("Y") : b.input("dY", true);
  b.computes_in_float();
  b.fields.must_be("mode", std::string("CUDNN_CROSS_CORRELATION"));
  b.fields.must_be("alpha", 1.0);
  b.fields.must_be("beta", 0.0);
  b.fields.may_be("groupCount", 1);
  const Geometry g = read_geometry(b, x, w, y);
  return [=, xt = b[x], wt = b[w], yt = b[y]](Arrays& arrays) {
    const Dims axes = channels_last(xt);
    const auto operand = [&](size_t index, const Tensor& t, bool result) {
      return result ? Doubles(t.count()) : take(t, arrays[index], axes);
    };
    Doubles xs = operand(x, xt, data), ws = operand(w, wt, filter), ys = operand(y, yt, forward);
    convolve(which, g, xs, ws, ys);
    if (data) arrays[x] = put(xt, xs, axes);
    if (filter) arrays[w] = put(wt, ws, axes);
    if (forward) arrays[y] = put(yt, ys, axes);
  };
}

}  // namespace cudnn_double
