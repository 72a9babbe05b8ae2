#include "steps.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>

namespace cudnn_double {

namespace {

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

// Makes scores a softmax; returns the logarithm of the sum of their exponentials.
double softmax(double* scores, int64_t n) {
  const double largest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += scores[j] = std::exp(scores[j] - largest);
  for (int64_t j = 0; j < n; ++j) scores[j] /= sum;
  return largest + std::log(sum);
}

}  // namespace

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

}  // namespace cudnn_double
