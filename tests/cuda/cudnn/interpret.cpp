#include "interpret.h"

#include <cudnn_frontend/thirdparty/nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <set>
#include <sstream>

namespace cudnn_double {
namespace {

using nlohmann::json;
using Doubles = std::vector<double>;
using Arrays = std::vector<Array>;
using Step = std::function<void(Arrays&)>;

// ---- types

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

float rounded(Type type, double value) {
  const auto single = float(value);
  if (type == Type::brain16) return of_brain(to_brain(single));
  if (type == Type::real16) return of_half(to_half(single));
  return single;
}

const std::map<std::string, Type> types{{"CUDNN_DATA_FLOAT", Type::real32},
                                        {"CUDNN_DATA_HALF", Type::real16},
                                        {"CUDNN_DATA_BFLOAT16", Type::brain16}};

// ---- indices

Dims packed(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

int64_t product(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Visits the elements of `dims` in rows of the last of them, with the offset of each row's first
// element by each of the strides.
template <size_t n, class Visit>
void walk(const Dims& dims, const std::array<Dims, n>& strides, Visit visit) {
  std::array<int64_t, n> offsets{};
  Dims at(dims.size(), 0);
  for (;;) {
    visit(offsets);
    size_t axis = dims.size() - 1;
    for (;;) {
      if (axis == 0) return;
      --axis;
      const bool more = ++at[axis] < dims[axis];
      for (size_t i = 0; i < n; ++i) offsets[i] += strides[i][axis] * (more ? 1 : 1 - dims[axis]);
      if (more) break;
      at[axis] = 0;
    }
  }
}

Dims select(const Dims& from, const Dims& axes) {
  Dims selected;
  for (const int64_t axis : axes) selected.push_back(from[size_t(axis)]);
  return selected;
}

Dims all_axes(const Tensor& t) {
  Dims axes(t.dims.size());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// The elements in row-major order of the given axes.
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

// Strides by which `t` stands for a tensor of `dims`.
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

// c += a b for row-major [m, k] and [k, n]
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

// ---- reading the description

struct Node {
  std::set<size_t> inputs, outputs;
  Step step;
};

// The fields of one JSON object: each must be asked for, or it is refused.
class Fields {
 public:
  Fields(const json& object, std::string what) : object_(object), what_(std::move(what)) {}

  bool has(const std::string& key) const { return object_.contains(key); }

  template <class Value>
  Value get(const std::string& key) {
    known_.insert(key);
    try {
      return object_.at(key).get<Value>();
    } catch (const json::exception&) {
      throw Refused(what_ + " has no proper " + key);
    }
  }

  template <class Value>
  void must_be(const std::string& key, const Value& neutral) {
    if (get<Value>(key) != neutral) {
      throw Refused(what_ + ": " + key + " = " + object_.at(key).dump() + " is not known");
    }
  }

  template <class Value>
  void may_be(const std::string& key, const Value& neutral) {
    if (has(key)) must_be(key, neutral);
  }

  void ignore(const std::string& key) { known_.insert(key); }

  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (!known_.contains(key)) throw Refused(what_ + ": " + key + " is not known");
    }
  }

  void require(bool holds, const std::string& rule) const {
    if (!holds) throw Refused(what_ + ": " + rule);
  }

 private:
  const json& object_;
  std::string what_;
  std::set<std::string> known_;
};

Tensor read_tensor(const json& object) {
  Fields fields(object, "tensor " + object.value("name", std::string("without a name")));
  Tensor t;
  t.id = std::stoll(fields.get<std::string>("name"));
  const auto type = fields.get<std::string>("dataType");
  fields.require(types.contains(type), type + " is not known");
  t.type = types.at(type);
  t.dims = fields.get<Dims>("dim");
  t.strides = fields.get<Dims>("stride");
  t.is_virtual = fields.get<bool>("isVirtual");
  t.by_value = fields.get<bool>("isByValue");
  t.alignment = fields.get<int64_t>("ptrAlignment");
  fields.must_be("vectCount", 1);
  if (fields.has("vectDim")) fields.ignore("vectDim");  // without meaning for vectors of one
  fields.must_be("reordering", std::string("CUDNN_TENSOR_REORDERING_NONE"));
  fields.finish();
  fields.require(!t.dims.empty() && t.dims.size() == t.strides.size(), "dims and strides differ");
  fields.require(std::ranges::all_of(t.dims, [](int64_t d) { return d > 0; }), "a dim is below 1");
  fields.require(std::ranges::all_of(t.strides, [](int64_t s) { return s >= 0; }),
                 "stride below 0");
  fields.require(!t.by_value || t.count() == 1, "only scalars can be passed by value");
  return t;
}

// One node under construction: its fields, and the tensors that it names.
class Builder {
 public:
  Builder(const json& object, std::vector<Tensor>& tensors)
      : fields(object, object.value("operation", std::string("node without an operation"))),
        tensors_(tensors) {
    fields.ignore("operation");
  }

  size_t input(const std::string& key, bool across = false) {
    const size_t index = find(key);
    node.inputs.insert(index);
    tensors_[index].read_across |= across;
    return index;
  }
  size_t output(const std::string& key) {
    const size_t index = find(key);
    node.outputs.insert(index);
    return index;
  }
  const Tensor& operator[](size_t index) const { return tensors_[index]; }
  const Dims& dims(size_t index) const { return tensors_[index].dims; }

  void computes_in_float() { fields.must_be("mathPrec", std::string("CUDNN_DATA_FLOAT")); }

  Fields fields;
  Node node;

 private:
  size_t find(const std::string& key) {
    const int64_t id = std::stoll(fields.get<std::string>(key));
    const auto found = std::ranges::find(tensors_, id, &Tensor::id);
    fields.require(found != tensors_.end(), key + " is no tensor of the graph");
    return size_t(found - tensors_.begin());
  }

  std::vector<Tensor>& tensors_;
};

// ---- convolutions

enum class Convolution { forward, data, filter };

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

// ---- matrix product

Step matrix_product(Builder& b) {
  b.computes_in_float();
  const size_t a = b.input("matA", true), f = b.input("matB", true), c = b.output("matC");
  const size_t rank = b.dims(c).size();
  b.fields.require(rank >= 2 && b.dims(a).size() == rank && b.dims(f).size() == rank,
                   "ranks differ");
  const int64_t m = b.dims(c)[rank - 2], n = b.dims(c)[rank - 1], k = b.dims(a)[rank - 1];
  b.fields.require(b.dims(a)[rank - 2] == m && b.dims(f)[rank - 2] == k && b.dims(f)[rank - 1] == n,
                   "sizes do not go together");
  // One batch as a row of a matrix, so that the walk has an axis to stay within.
  const auto batches = [&](size_t of) {
    Tensor t = b[of];
    t.dims[rank - 2] = t.dims[rank - 1] = 1;
    return t;
  };
  const Dims over = batches(c).dims;
  const std::array<Dims, 3> strides{packed(over), broadcast(batches(a), over),
                                    broadcast(batches(f), over)};
  return [=, at = b[a], ft = b[f], ct = b[c]](Arrays& arrays) {
    const Doubles as = take(at, arrays[a], all_axes(at)), fs = take(ft, arrays[f], all_axes(ft));
    Doubles cs(ct.count());
    walk<3>(over, strides, [&](const auto& i) {
      multiply(m, n, k, &as[i[1] * m * k], &fs[i[2] * k * n], &cs[i[0] * m * n]);
    });
    arrays[c] = put(ct, cs, all_axes(ct));
  };
}

// ---- element by element

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); }

double gelu_slope(double x) {
  const double density = std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * density;
}

using Unary = double (*)(double);
using Binary = double (*)(double, double);

const std::map<std::string, Unary> unary{
    {"IDENTITY", [](double x) { return x; }},
    {"EXP", [](double x) { return std::exp(x); }},
    {"LOG", [](double x) { return std::log(x); }},
    {"NEG", [](double x) { return -x; }},
    {"ABS", [](double x) { return std::fabs(x); }},
    {"SQRT", [](double x) { return std::sqrt(x); }},
    {"RSQRT", [](double x) { return 1 / std::sqrt(x); }},
    {"RELU_FWD", [](double x) { return x < 0 ? 0 : x; }},
    {"GELU_FWD", gelu},
    {"TANH_FWD", [](double x) { return std::tanh(x); }},
    {"SIGMOID_FWD", [](double x) { return 1 / (1 + std::exp(-x)); }},
};

const std::map<std::string, Binary> binary{
    {"ADD", [](double x, double b) { return x + b; }},
    {"SUB", [](double x, double b) { return x - b; }},
    {"MUL", [](double x, double b) { return x * b; }},
    {"DIV", [](double x, double b) { return x / b; }},
    {"MAX", [](double x, double b) { return std::max(x, b); }},
    {"MIN", [](double x, double b) { return std::min(x, b); }},
};

// Of the forward operand and the gradient of the result.
const std::map<std::string, Binary> backward{
    {"RELU_BWD", [](double x, double dy) { return x > 0 ? dy : 0; }},
    {"GELU_BWD", [](double x, double dy) { return gelu_slope(x) * dy; }},
};

Step pointwise_of_one(Builder& b, Unary apply) {
  const size_t x = b.input("X"), y = b.output("Y");
  b.fields.require(b.dims(x) == b.dims(y), "operand and result differ in dims");
  return [=, type = b[y].type](Arrays& arrays) {
    Array result(arrays[x].size());
    std::ranges::transform(arrays[x], result.begin(),
                           [&](float value) { return rounded(type, apply(value)); });
    arrays[y] = std::move(result);
  };
}

Step pointwise_of_two(Builder& b, Binary apply, const std::array<const char*, 3>& names) {
  const size_t x = b.input(names[0]), other = b.input(names[1]), y = b.output(names[2]);
  const Dims dims = b.dims(y);
  const std::array<Dims, 3> strides{packed(dims), broadcast(b[x], dims), broadcast(b[other], dims)};
  return [=, type = b[y].type](Arrays& arrays) {
    Array result(size_t(product(dims)));
    const float *xs = arrays[x].data(), *others = arrays[other].data();
    walk<3>(dims, strides, [&](const auto& at) {
      for (int64_t i = 0; i < dims.back(); ++i) {
        const double value =
            apply(xs[at[1] + i * strides[1].back()], others[at[2] + i * strides[2].back()]);
        result[at[0] + i] = rounded(type, value);
      }
    });
    arrays[y] = std::move(result);
  };
}

Step pointwise(Builder& b) {
  b.computes_in_float();
  b.fields.must_be("alpha1", 1.0);
  b.fields.must_be("alpha2", 1.0);
  b.fields.may_be("lowerClip", 0.0);
  b.fields.may_be("lowerClipSlope", 0.0);
  b.fields.may_be("upperClip", double(FLT_MAX));
  const auto name = b.fields.get<std::string>("pointwiseMode");
  const std::string mode = name.substr(std::min(name.size(), std::strlen("CUDNN_POINTWISE_")));
  if (const auto found = unary.find(mode); found != unary.end()) {
    return pointwise_of_one(b, found->second);
  }
  if (const auto found = binary.find(mode); found != binary.end()) {
    return pointwise_of_two(b, found->second, {"X", "B", "Y"});
  }
  const auto found = backward.find(mode);
  b.fields.require(found != backward.end(), name + " is not known");
  return pointwise_of_two(b, found->second, {"X", "dY", "dX"});
}

// ---- reductions, views

Step reduction(Builder& b) {
  b.computes_in_float();
  b.fields.ignore("isDeterministic");  // the sums here always are
  const auto name = b.fields.get<std::string>("reductionOp");
  const bool add = name == "CUDNN_REDUCE_TENSOR_ADD";
  b.fields.require(add || name == "CUDNN_REDUCE_TENSOR_MAX", name + " is not known");
  const size_t x = b.input("X", true), y = b.output("Y");
  const Dims dims = b.dims(x), to = broadcast(b[y], dims);
  return [=, yt = b[y]](Arrays& arrays) {
    Doubles result(yt.count(), add ? 0.0 : -std::numeric_limits<double>::infinity());
    walk<2>(dims, {packed(dims), to}, [&](const auto& at) {
      for (int64_t i = 0; i < dims.back(); ++i) {
        double& sum = result[at[1] + i * to.back()];
        const double value = arrays[x][at[0] + i];
        sum = add ? sum + value : std::max(sum, value);
      }
    });
    arrays[y] = put(yt, result, all_axes(yt));
  };
}

// Both tensors name the same memory, each by strides of its own.
Step reshape(Builder& b) {
  const size_t x = b.input("X", true), y = b.output("Y");
  b.fields.require(b[x].count() == b[y].count(), "sizes differ");
  const auto places = [](const Tensor& t) {
    Dims all;
    walk<1>(t.dims, {t.strides}, [&](const auto& at) {
      for (int64_t i = 0; i < t.dims.back(); ++i) all.push_back(at[0] + i * t.strides.back());
    });
    return all;
  };
  const Dims from = places(b[x]), to = places(b[y]);
  Dims elements(size_t(*std::ranges::max_element(from) + 1), -1);
  for (size_t i = 0; i < from.size(); ++i) {
    b.fields.require(elements[from[i]] < 0, "the operand's elements overlap");
    elements[from[i]] = int64_t(i);
  }
  Dims sources;
  for (const int64_t place : to) {
    const bool known = place < int64_t(elements.size()) && elements[place] >= 0;
    b.fields.require(known, "the result is no view of the operand");
    sources.push_back(elements[place]);
  }
  return [=, type = b[y].type](Arrays& arrays) {
    Array result(sources.size());
    for (size_t i = 0; i < sources.size(); ++i) result[i] = rounded(type, arrays[x][sources[i]]);
    arrays[y] = std::move(result);
  };
}

// ---- layer norm

// Axes in two groups: those of the rows, then those that a row is normalised over.
struct Rows {
  Dims axes;
  int64_t count = 1, width = 1;
};

Rows read_rows(Builder& b, size_t x, size_t scale) {
  b.fields.must_be("mode", std::string("CUDNN_LAYER_NORM"));
  b.fields.require(b.dims(x).size() == b.dims(scale).size(), "ranks differ");
  Rows rows;
  for (const bool within : {false, true}) {
    for (size_t i = 0; i < b.dims(x).size(); ++i) {
      if ((b.dims(scale)[i] != 1) != within) continue;
      rows.axes.push_back(int64_t(i));
      (within ? rows.width : rows.count) *= b.dims(x)[i];
    }
  }
  return rows;
}

void require_sizes(const Builder& b, const Rows& rows, std::initializer_list<size_t> of_rows,
                   std::initializer_list<size_t> of_columns) {
  for (const size_t t : of_rows) {
    b.fields.require(int64_t(b[t].count()) == rows.count, "needs one statistic a row");
  }
  for (const size_t t : of_columns) {
    b.fields.require(int64_t(b[t].count()) == rows.width, "needs one parameter a column");
  }
}

Step norm_forward(Builder& b) {
  const auto phase = b.fields.get<std::string>("fmode");
  const bool training = phase == "CUDNN_NORM_FWD_TRAINING";
  b.fields.require(training || phase == "CUDNN_NORM_FWD_INFERENCE", phase + " is not known");
  const size_t x = b.input("X", true), scale = b.input("Scale"), bias = b.input("Bias");
  const size_t epsilon = b.input("epsilonDesc"), y = b.output("Y");
  const size_t mean = training ? b.output("Mean") : y;
  const size_t inverse = training ? b.output("InvVariance") : y;
  const Rows rows = read_rows(b, x, scale);
  require_sizes(b, rows, {}, {scale, bias});
  if (training) require_sizes(b, rows, {mean, inverse}, {});
  b.fields.require(b.dims(x) == b.dims(y) && b[epsilon].count() == 1, "sizes do not go together");
  return [=, xt = b[x], yt = b[y], meant = b[mean], inverset = b[inverse]](Arrays& arrays) {
    Doubles values = take(xt, arrays[x], rows.axes), means, inverses;
    for (int64_t i = 0; i < rows.count; ++i) {
      double* const row = &values[i * rows.width];
      const double average = std::accumulate(row, row + rows.width, 0.0) / double(rows.width);
      double squares = 0;
      for (int64_t j = 0; j < rows.width; ++j) squares += (row[j] - average) * (row[j] - average);
      means.push_back(average);
      inverses.push_back(1 / std::sqrt(squares / double(rows.width) + arrays[epsilon][0]));
      for (int64_t j = 0; j < rows.width; ++j) {
        row[j] = (row[j] - average) * inverses.back() * arrays[scale][j] + arrays[bias][j];
      }
    }
    arrays[y] = put(yt, values, rows.axes);
    if (!training) return;
    arrays[mean] = put(meant, means, all_axes(meant));
    arrays[inverse] = put(inverset, inverses, all_axes(inverset));
  };
}

Step norm_backward(Builder& b) {
  const size_t x = b.input("X", true), dy = b.input("DY", true), scale = b.input("Scale");
  const size_t mean = b.input("Mean"), inverse = b.input("InvVariance");
  const size_t dx = b.output("DX"), dscale = b.output("DScale"), dbias = b.output("DBias");
  const Rows rows = read_rows(b, x, scale);
  require_sizes(b, rows, {mean, inverse}, {scale, dscale, dbias});
  b.fields.require(b.dims(x) == b.dims(dy) && b.dims(x) == b.dims(dx), "operands differ in dims");
  return [=, xt = b[x], dyt = b[dy], dxt = b[dx], st = b[dscale], bt = b[dbias]](Arrays& arrays) {
    Doubles xs = take(xt, arrays[x], rows.axes);
    const Doubles dys = take(dyt, arrays[dy], rows.axes);
    Doubles scales(size_t(rows.width)), biases(size_t(rows.width));
    const auto width = double(rows.width);
    for (int64_t i = 0; i < rows.count; ++i) {
      double* const row = &xs[i * rows.width];
      const double* const slope = &dys[i * rows.width];
      double sum = 0, along = 0;
      for (int64_t j = 0; j < rows.width; ++j) {
        row[j] = (row[j] - arrays[mean][i]) * arrays[inverse][i];
        scales[j] += slope[j] * row[j];
        biases[j] += slope[j];
        sum += slope[j] * arrays[scale][j];
        along += slope[j] * arrays[scale][j] * row[j];
      }
      for (int64_t j = 0; j < rows.width; ++j) {
        const double own = slope[j] * arrays[scale][j];
        row[j] = arrays[inverse][i] * (own - sum / width - row[j] * along / width);
      }
    }
    arrays[dx] = put(dxt, xs, rows.axes);
    arrays[dscale] = put(st, scales, all_axes(st));
    arrays[dbias] = put(bt, biases, all_axes(bt));
  };
}

// ---- attention

// Makes scores a softmax; returns the logarithm of the sum of their exponentials.
double softmax(double* scores, int64_t n) {
  const double largest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += scores[j] = std::exp(scores[j] - largest);
  for (int64_t j = 0; j < n; ++j) scores[j] /= sum;
  return largest + std::log(sum);
}

Step attention(Builder& b) {
  const size_t q = b.input("Q", true), k = b.input("K", true), v = b.input("V", true);
  const bool scaled = b.fields.has("scale"), kept = b.fields.has("stats");
  const size_t scale = scaled ? b.input("scale") : q, o = b.output("O");
  const size_t stats = kept ? b.output("stats") : o;
  const Dims &qd = b.dims(q), &kd = b.dims(k), &vd = b.dims(v);
  b.fields.require(qd.size() == 4 && kd.size() == 4 && vd.size() == 4, "needs four dims");
  const int64_t heads = qd[0] * qd[1], queries = qd[2], depth = qd[3], keys = kd[2], width = vd[3];
  b.fields.require(kd == Dims{qd[0], qd[1], keys, depth} && vd == Dims{qd[0], qd[1], keys, width} &&
                       b.dims(o) == Dims{qd[0], qd[1], queries, width},
                   "sizes do not go together");
  b.fields.require(!kept || int64_t(b[stats].count()) == heads * queries, "one statistic a query");
  b.fields.require(!scaled || b[scale].count() == 1, "scale is one number");
  return [=, qt = b[q], kt = b[k], vt = b[v], ot = b[o], st = b[stats]](Arrays& arrays) {
    const Doubles qs = take(qt, arrays[q], {0, 1, 2, 3}), ks = take(kt, arrays[k], {0, 1, 3, 2});
    const Doubles vs = take(vt, arrays[v], {0, 1, 2, 3});
    Doubles os(ot.count()), logs;
    for (int64_t i = 0; i < heads; ++i) {
      Doubles scores(size_t(queries * keys));
      multiply(queries, keys, depth, &qs[i * queries * depth], &ks[i * keys * depth],
               scores.data());
      if (scaled) {
        for (double& score : scores) score *= arrays[scale][0];
      }
      for (int64_t j = 0; j < queries; ++j) logs.push_back(softmax(&scores[j * keys], keys));
      multiply(queries, width, keys, scores.data(), &vs[i * keys * width],
               &os[i * queries * width]);
    }
    arrays[o] = put(ot, os, all_axes(ot));
    if (kept) arrays[stats] = put(st, logs, all_axes(st));
  };
}

// ---- the graph

const std::map<std::string, Step (*)(Builder&)> operations{
    {"CONVOLUTION_FORWARD", [](Builder& b) { return convolution(b, Convolution::forward); }},
    {"CONVOLUTION_BACKWARD_DATA", [](Builder& b) { return convolution(b, Convolution::data); }},
    {"CONVOLUTION_BACKWARD_FILTER", [](Builder& b) { return convolution(b, Convolution::filter); }},
    {"MATMUL", matrix_product},
    {"POINTWISE", pointwise},
    {"REDUCTION", reduction},
    {"RESHAPE", reshape},
    {"NORM_FORWARD", norm_forward},
    {"NORM_BACKWARD", norm_backward},
    {"SDPA_FWD", attention},
};

Node read_node(const json& object, std::vector<Tensor>& tensors) {
  const auto name = object.value("operation", std::string("node without an operation"));
  for (const auto& [operation, build] : operations) {
    if (name != "CUDNN_BACKEND_OPERATION_" + operation + "_DESCRIPTOR") continue;
    Builder builder(object, tensors);
    builder.node.step = build(builder);
    builder.fields.finish();
    return builder.node;
  }
  throw Refused(name + " is not known");
}

void mark_roles(std::vector<Tensor>& tensors, const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    for (const size_t index : node.outputs) {
      if (tensors[index].is_output) throw Refused("two nodes write one tensor");
      if (tensors[index].by_value) throw Refused("a node writes a scalar of the host");
      tensors[index].is_output = true;
    }
  }
  for (const Node& node : nodes) {
    for (const size_t index : node.inputs) {
      tensors[index].is_input = !tensors[index].is_output;
      if (tensors[index].is_input && tensors[index].is_virtual) {
        throw Refused("no node writes tensor " + std::to_string(tensors[index].id));
      }
    }
  }
}

// The description's nodes stand in any order.
std::vector<Step> in_order(const std::vector<Tensor>& tensors, std::vector<Node> nodes) {
  std::vector<Step> steps;
  std::set<size_t> ready;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].is_output) ready.insert(i);
  }
  while (!nodes.empty()) {
    const auto next = std::ranges::find_if(
        nodes, [&](const Node& node) { return std::ranges::includes(ready, node.inputs); });
    if (next == nodes.end()) throw Refused("the graph has a circle");
    ready.insert(next->outputs.begin(), next->outputs.end());
    steps.push_back(std::move(next->step));
    nodes.erase(next);
  }
  return steps;
}

json first_object(const std::string& text) {
  std::istringstream stream(text);
  json object;
  try {
    stream >> object;
    return object.at("operationGraph");
  } catch (const json::exception& error) {
    throw Refused(std::string("the plan's description: ") + error.what());
  }
}

}  // namespace

size_t Tensor::count() const { return size_t(product(dims)); }

size_t Tensor::element_bytes() const { return type == Type::real32 ? 4 : 2; }

size_t Tensor::span_bytes() const {
  int64_t last = 0;
  for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
  return size_t(last + 1) * element_bytes();
}

Plan interpret(const std::string& description) {
  const json graph = first_object(description);
  Fields fields(graph, "graph");
  fields.ignore("finalizeMode");  // a name for what the nodes say
  Plan plan;
  for (const json& tensor : fields.get<json>("tensors"))
    plan.tensors.push_back(read_tensor(tensor));
  std::vector<Node> nodes;
  for (const json& node : fields.get<json>("nodes")) nodes.push_back(read_node(node, plan.tensors));
  fields.finish();
  mark_roles(plan.tensors, nodes);
  plan.steps = in_order(plan.tensors, std::move(nodes));
  return plan;
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
