// Batch normalisation. All passes are bound by memory: per element (n bytes of F, 4 or 2)
//
//   statistics            n read                     floor  n       / bandwidth of reading
//   apply                 n (+ n residual) read, n written
//   gradient statistics   2 n (+ n of y with a residual and ReLU) read
//   gradient apply        2 n (+ n of y) read, n (+ n of the residual's gradient) written
//
// Sums are in double: f32 is exact in it and so is a product of two of them, so a sum of N terms is
// good to N 2^-53 of the sum of their absolute values. Sums of x and x^2 need no shift by the mean
// before: M2 = sum x^2 - (sum x)^2 / N loses a factor mean^2 / variance of these 53 bits, where the
// f32 input itself has lost |mean| / deviation of its 24, which is always the greater loss.
//
// The statistics moreover must not depend on how threads and ranks divide the batch: each sample's
// rows are summed in double in their order, and the samples' sums in double-double arithmetic,
// which costs little because they are few. (Gradients change no decision, so their sums are in
// double.)
//
// Without a residual the gradients do not read y: whether ReLU let an element through is computed
// again from x by the forward's formula, operation by operation, so that both agree in every bit.
#include "kernels/batch_norm.h"

#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/double_double.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/batch_norm.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

#ifndef LACUNA_KERNELS_CPU_BATCH_NORM_ONCE
#define LACUNA_KERNELS_CPU_BATCH_NORM_ONCE
namespace lacuna::cpu {

// Operands and per-channel coefficients of one call, for all parts.
struct BatchNormArguments {
  DType dtype;
  int64_t channels;
  const void *x, *residual, *y, *dy;
  void *out, *out_residual;
  bool relu, has_residual;
  // y = (x - mean) slope + offset
  const float *mean, *slope, *offset;
  // dx = slope g + linear (x - mean) + constant
  const float *linear, *constant;
};

// The rows of a batch in blocks that do not depend on its division: those of one sample each, or
// pieces of a large one.
struct RowBlocks {
  explicit RowBlocks(const Shape& x)
      : of_sample(x.slice(1, x.rank() - 1).count()),
        per_sample((of_sample + most - 1) / most),
        count(x[0] * per_sample) {}
  int64_t begin(int64_t block) const {
    return block / per_sample * of_sample + block % per_sample * most;
  }
  int64_t end(int64_t block) const {
    return std::min(begin(block) + most, (block / per_sample + 1) * of_sample);
  }
  static constexpr int64_t most = 1024;
  int64_t of_sample, per_sample, count;
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// body(number of rows, first row) over [begin, end). Short rows are taken four at a time, so that
// per-channel values are loaded once for all four; longer ones one by one, in the order of memory:
// the steps between them (512 bytes to 1 KiB) lose the processor's prefetching half of its rate.
template <typename T, typename Body>
HWY_INLINE void for_row_groups(int64_t channels, int64_t begin, int64_t end, const Body& body) {
  if (channels * static_cast<int64_t>(sizeof(T)) <= 256) {
    for (; begin + 4 <= end; begin += 4) body(std::integral_constant<int, 4>(), begin);
  }
  for (; begin < end; ++begin) body(std::integral_constant<int, 1>(), begin);
}

template <int rows, typename T>
HWY_INLINE void add_moments(const T* x, int64_t channels, double* sum, double* square) {
  for_double_lanes(0, channels, [&](auto d, int64_t c) HWY_ATTR {
    auto s = hn::LoadU(d, sum + c);
    auto q = hn::LoadU(d, square + c);
    for (int row = 0; row < rows; ++row) {
      const auto v = load_double(d, x + row * channels + c);
      s = hn::Add(s, v);
      q = hn::MulAdd(v, v, q);
    }
    hn::StoreU(s, d, sum + c);
    hn::StoreU(q, d, square + c);
  });
}

// sums: [2C], zeroed: sum x, sum x^2 of the rows of one block.
HWY_INLINE void block_moments(const BatchNormArguments& a, int64_t begin, int64_t end,
                              double* sums) {
  with_type(a.dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* x = static_cast<const T*>(a.x);
    double* square = sums + a.channels;
    for_row_groups<T>(a.channels, begin, end, [&](auto rows, int64_t row) HWY_ATTR {
      add_moments<rows()>(x + row * a.channels, a.channels, sums, square);
    });
  });
}

// add_to of kernels/double_double.h, term by term.
HWY_INLINE void add_terms(const double* terms, int64_t count, double* high, double* low) {
  for_double_lanes(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto term = hn::LoadU(d, terms + i);
    const auto before = hn::LoadU(d, high + i);
    const auto sum = hn::Add(before, term);
    const auto of_term = hn::Sub(sum, before);
    const auto rest = hn::Add(hn::Sub(before, hn::Sub(sum, of_term)), hn::Sub(term, of_term));
    hn::StoreU(sum, d, high + i);
    hn::StoreU(hn::Add(hn::LoadU(d, low + i), rest), d, low + i);
  });
}

// sums: [6C]: sum x, sum x^2, what is to be added to either, and room for those of one block.
void batch_norm_sums(const BatchNormArguments& a, const RowBlocks& blocks, int64_t begin,
                     int64_t end, double* sums) {
  const int64_t width = 2 * a.channels;
  double* low = sums + width;
  double* of_block = low + width;
  std::fill(sums, of_block, 0.0);
  for (int64_t block = begin; block < end; ++block) {
    std::fill(of_block, of_block + width, 0.0);
    block_moments(a, blocks.begin(block), blocks.end(block), of_block);
    add_terms(of_block, width, sums, low);
  }
}

template <class D>
HWY_INLINE hn::Vec<D> normalized(hn::Vec<D> x, hn::Vec<D> mean, hn::Vec<D> slope,
                                 hn::Vec<D> offset) {
  return hn::MulAdd(hn::Sub(x, mean), slope, offset);
}

template <int rows, bool relu, bool residual, typename T>
HWY_INLINE void apply_rows(const BatchNormArguments& a, int64_t first) {
  const int64_t at = first * a.channels;
  const T* x = static_cast<const T*>(a.x) + at;
  const T* r = static_cast<const T*>(a.residual) + (residual ? at : 0);
  T* out = static_cast<T*>(a.out) + at;
  for_lanes(0, a.channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto mean = hn::LoadU(d, a.mean + c);
    const auto slope = hn::LoadU(d, a.slope + c);
    const auto offset = hn::LoadU(d, a.offset + c);
    for (int row = 0; row < rows; ++row) {
      const int64_t i = row * a.channels + c;
      auto y = normalized<decltype(d)>(load(d, x + i), mean, slope, offset);
      if (residual) y = hn::Add(y, load(d, r + i));
      if (relu) y = positive_part(d, y);
      store(y, d, out + i);
    }
  });
}

template <bool relu, bool residual, typename T>
HWY_INLINE void apply_range(const BatchNormArguments& a, int64_t begin, int64_t end) {
  for_row_groups<T>(a.channels, begin, end, [&](auto rows, int64_t row) HWY_ATTR {
    apply_rows<rows(), relu, residual, T>(a, row);
  });
}

void batch_norm_apply_rows(const BatchNormArguments& a, int64_t begin, int64_t end) {
  with_type(a.dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    if (a.relu && a.has_residual) return apply_range<true, true, T>(a, begin, end);
    if (a.relu) return apply_range<true, false, T>(a, begin, end);
    if (a.has_residual) return apply_range<false, true, T>(a, begin, end);
    return apply_range<false, false, T>(a, begin, end);
  });
}

// Which of ReLU's sources a gradient needs: none, y computed again from x, or y itself.
enum class Mask { none, from_x, from_y };

// dy where ReLU let the element through, else 0.
template <Mask mask, class D, typename T>
HWY_INLINE hn::Vec<D> masked(D d, hn::Vec<D> dy, hn::Vec<D> x, const T* y, hn::Vec<D> mean,
                             hn::Vec<D> slope, hn::Vec<D> offset) {
  if (mask == Mask::none) return dy;
  const auto value = mask == Mask::from_y ? load(d, y) : normalized<D>(x, mean, slope, offset);
  return hn::IfThenElseZero(hn::Gt(value, hn::Zero(d)), dy);
}

template <int rows, Mask mask, typename T>
HWY_INLINE void add_gradients(const BatchNormArguments& a, int64_t first, double* sum,
                              double* product) {
  const int64_t at = first * a.channels;
  const T* x = static_cast<const T*>(a.x) + at;
  const T* dy = static_cast<const T*>(a.dy) + at;
  const T* y = static_cast<const T*>(a.y) + (mask == Mask::from_y ? at : 0);
  for_double_lanes(0, a.channels, [&](auto d, int64_t c) HWY_ATTR {
    const hn::Rebind<float, decltype(d)> df;
    const auto mean = hn::LoadU(df, a.mean + c);
    const auto slope = hn::LoadU(df, a.slope + c);
    const auto offset = hn::LoadU(df, a.offset + c);
    auto s = hn::LoadU(d, sum + c);
    auto p = hn::LoadU(d, product + c);
    for (int row = 0; row < rows; ++row) {
      const int64_t i = row * a.channels + c;
      const auto v = load(df, x + i);
      const auto g =
          hn::PromoteTo(d, masked<mask>(df, load(df, dy + i), v, y + (mask == Mask::from_y ? i : 0),
                                        mean, slope, offset));
      s = hn::Add(s, g);
      p = hn::MulAdd(g, hn::PromoteTo(d, v), p);
    }
    hn::StoreU(s, d, sum + c);
    hn::StoreU(p, d, product + c);
  });
}

template <Mask mask, typename T>
HWY_INLINE void add_gradients_range(const BatchNormArguments& a, int64_t begin, int64_t end,
                                    double* sums) {
  for_row_groups<T>(a.channels, begin, end, [&](auto rows, int64_t row) HWY_ATTR {
    add_gradients<rows(), mask, T>(a, row, sums, sums + a.channels);
  });
}

// sums: [2C], zeroed: sum g, sum g x.
void batch_norm_gradient_sums(const BatchNormArguments& a, int64_t begin, int64_t end,
                              double* sums) {
  with_type(a.dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    if (!a.relu) return add_gradients_range<Mask::none, T>(a, begin, end, sums);
    if (a.has_residual) return add_gradients_range<Mask::from_y, T>(a, begin, end, sums);
    return add_gradients_range<Mask::from_x, T>(a, begin, end, sums);
  });
}

template <int rows, Mask mask, bool residual, typename T>
HWY_INLINE void gradient_rows(const BatchNormArguments& a, int64_t first) {
  const int64_t at = first * a.channels;
  const T* x = static_cast<const T*>(a.x) + at;
  const T* dy = static_cast<const T*>(a.dy) + at;
  const T* y = static_cast<const T*>(a.y) + (mask == Mask::from_y ? at : 0);
  T* dx = static_cast<T*>(a.out) + at;
  T* dr = static_cast<T*>(a.out_residual) + (residual ? at : 0);
  for_lanes(0, a.channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto mean = hn::LoadU(d, a.mean + c);
    const auto slope = hn::LoadU(d, a.slope + c);
    const auto offset = hn::LoadU(d, a.offset + c);
    const auto linear = hn::LoadU(d, a.linear + c);
    const auto constant = hn::LoadU(d, a.constant + c);
    for (int row = 0; row < rows; ++row) {
      const int64_t i = row * a.channels + c;
      const auto v = load(d, x + i);
      const auto g = masked<mask>(d, load(d, dy + i), v, y + (mask == Mask::from_y ? i : 0), mean,
                                  slope, offset);
      const auto centred = hn::MulAdd(hn::Sub(v, mean), linear, constant);
      store(hn::MulAdd(g, slope, centred), d, dx + i);
      if (residual) store(g, d, dr + i);
    }
  });
}

template <Mask mask, bool residual, typename T>
HWY_INLINE void gradient_range(const BatchNormArguments& a, int64_t begin, int64_t end) {
  for_row_groups<T>(a.channels, begin, end, [&](auto rows, int64_t row) HWY_ATTR {
    gradient_rows<rows(), mask, residual, T>(a, row);
  });
}

void batch_norm_gradient_rows(const BatchNormArguments& a, int64_t begin, int64_t end) {
  with_type(a.dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    if (a.has_residual && a.relu) return gradient_range<Mask::from_y, true, T>(a, begin, end);
    if (a.has_residual) return gradient_range<Mask::none, true, T>(a, begin, end);
    if (a.relu) return gradient_range<Mask::from_x, false, T>(a, begin, end);
    return gradient_range<Mask::none, false, T>(a, begin, end);
  });
}

template <int rows, typename T>
HWY_INLINE void add_columns(const T* x, int64_t columns, double* sum) {
  for_double_lanes(0, columns, [&](auto d, int64_t c) HWY_ATTR {
    auto s = hn::LoadU(d, sum + c);
    for (int row = 0; row < rows; ++row) s = hn::Add(s, load_double(d, x + row * columns + c));
    hn::StoreU(s, d, sum + c);
  });
}

// sums: [C], zeroed: sum x.
void column_sums(const BatchNormArguments& a, int64_t begin, int64_t end, double* sums) {
  with_type(a.dtype, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    const T* x = static_cast<const T*>(a.x);
    for_row_groups<T>(a.channels, begin, end, [&](auto rows, int64_t row) HWY_ATTR {
      add_columns<rows()>(x + row * a.channels, a.channels, sums);
    });
  });
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(batch_norm_sums);
HWY_EXPORT(batch_norm_apply_rows);
HWY_EXPORT(batch_norm_gradient_sums);
HWY_EXPORT(batch_norm_gradient_rows);
HWY_EXPORT(column_sums);

namespace {

using RangeSums = void (*)(const BatchNormArguments&, int64_t, int64_t, double*);

// Sums over rows, part by part, then over the parts in their order; the result lies in scratch.
const double* sum_over_rows(const Call& call, const BatchNormArguments& a, int64_t rows,
                            int64_t width, RangeSums add) {
  const int64_t row_bytes = a.channels * static_cast<int64_t>(size_of(a.dtype));
  const int parts = parts_of(threads_of(call), rows, grain_of(row_bytes));
  double* sums = static_cast<double*>(
      call.context.scratch(static_cast<size_t>(parts) * static_cast<size_t>(width) * 8));
  for_parts(parts, [&](int part) {
    double* own = sums + part * width;
    std::fill(own, own + width, 0.0);
    add(a, part_begin(rows, part, parts), part_begin(rows, part + 1, parts), own);
  });
  for (int part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < width; ++i) sums[i] += sums[part * width + i];
  }
  return sums;
}

int64_t rows_of(const View& x) { return x.shape.count() / std::max<int64_t>(1, x.shape[-1]); }

// What the passes need of each channel, computed in double and rounded once. Rounding the mean to
// f32 is made good in `offset` and `constant`.
class Coefficients {
 public:
  Coefficients(int64_t channels, const double* moments, const float* gamma, const float* beta,
               double epsilon)
      : channels_(channels), values_(static_cast<size_t>(5 * channels)) {
    for (int64_t c = 0; c < channels; ++c) {
      const double exact_mean = moments[1 + c];
      const double slope = double{gamma[c]} * deviation(channels, moments, c, epsilon);
      at(0)[c] = static_cast<float>(exact_mean);
      at(1)[c] = static_cast<float>(slope);
      at(2)[c] = static_cast<float>(double{beta[c]} - (exact_mean - double{at(0)[c]}) * slope);
    }
  }
  // dx = slope (g - sums[0] / count - xhat sums[1] / count), or slope g if not called
  void add_gradient(const double* moments, const double* sums, const float* gamma, double epsilon) {
    const double count = std::max(moments[0], 1.0);
    for (int64_t c = 0; c < channels_; ++c) {
      const double rstd = deviation(channels_, moments, c, epsilon);
      const double slope = double{gamma[c]} * rstd;
      const double linear = -slope * rstd * sums[channels_ + c] / count;
      at(3)[c] = static_cast<float>(linear);
      at(4)[c] = static_cast<float>(-slope * sums[c] / count -
                                    linear * (moments[1 + c] - double{at(0)[c]}));
    }
  }
  // 1 / standard deviation
  static double deviation(int64_t channels, const double* moments, int64_t c, double epsilon) {
    return 1 / std::sqrt(moments[1 + channels + c] / std::max(moments[0], 1.0) + epsilon);
  }
  void put_into(BatchNormArguments& a) {
    a.mean = at(0);
    a.slope = at(1);
    a.offset = at(2);
    a.linear = at(3);
    a.constant = at(4);
  }

 private:
  float* at(int64_t row) { return values_.data() + row * channels_; }
  int64_t channels_;
  std::vector<float> values_;
};

BatchNormArguments arguments_of(const View& x, const BatchNormAttributes& attributes) {
  BatchNormArguments a{};
  a.dtype = x.dtype;
  a.channels = x.shape[-1];
  a.relu = attributes.relu != 0;
  a.has_residual = attributes.residual != 0;
  return a;
}

void batch_norm_statistics(const Call& call) {
  BatchNormArguments a{};
  a.dtype = call.in[0].dtype;
  a.channels = call.in[0].shape[-1];
  a.x = call.in[0].data;
  const RowBlocks blocks(call.in[0].shape);
  const int64_t block_bytes = std::min(blocks.of_sample, RowBlocks::most) * a.channels *
                              static_cast<int64_t>(size_of(a.dtype));
  const int parts = parts_of(threads_of(call), blocks.count, grain_of(block_bytes));
  const int64_t width = 6 * a.channels;  // of a part
  double* sums = static_cast<double*>(
      call.context.scratch(static_cast<size_t>(parts) * static_cast<size_t>(width) * 8));
  const auto add = HWY_DYNAMIC_DISPATCH(batch_norm_sums);
  for_parts(parts, [&](int part) {
    add(a, blocks, part_begin(blocks.count, part, parts), part_begin(blocks.count, part + 1, parts),
        sums + part * width);
  });
  const int64_t terms = 2 * a.channels;
  for (int part = 1; part < parts; ++part) {
    const double* own = sums + part * width;
    for (int64_t i = 0; i < terms; ++i) {
      add_to(sums[i], sums[terms + i], own[i]);
      add_to(sums[i], sums[terms + i], own[terms + i]);
    }
  }
  double* out = call.out[0].as<double>();
  out[0] = static_cast<double>(rows_of(call.in[0]));
  std::copy(sums, sums + 2 * terms, out + 1);
}

void batch_norm_merge(const Call& call) {
  const View& parts = call.in[0];
  const int64_t ranks = parts.shape[0];
  const int64_t width = parts.shape[1];
  const int64_t channels = (width - 1) / 4;
  std::vector<DoubleDouble> sums(static_cast<size_t>(2 * channels));
  double count = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const double* part = parts.as<double>() + rank * width;
    count += part[0];
    for (int64_t i = 0; i < 2 * channels; ++i) {
      sums[static_cast<size_t>(i)].add({part[1 + i], part[1 + 2 * channels + i]});
    }
  }
  double* moments = call.out[0].as<double>();
  moments[0] = count;
  for (int64_t c = 0; c < channels; ++c) {
    const double sum = sums[static_cast<size_t>(c)].value();
    const double mean = count == 0 ? 0 : sum / count;
    moments[1 + c] = mean;
    // Not below 0 by rounding; written so that NaN stays NaN.
    const double squares = sums[static_cast<size_t>(channels + c)].value() - sum * mean;
    moments[1 + channels + c] = squares < 0 ? 0 : squares;
  }
}

void batch_norm_fixed_moments(const Call& call) {
  const float* mean = call.in[0].as<float>();
  const float* variance = call.in[1].as<float>();
  const int64_t channels = call.in[0].count();
  double* moments = call.out[0].as<double>();
  moments[0] = 1;
  std::copy(mean, mean + channels, moments + 1);
  std::copy(variance, variance + channels, moments + 1 + channels);
}

void batch_norm_apply(const Call& call) {
  using Operand = operands::BatchNormApply;
  const auto attributes = call.attributes.as<BatchNormAttributes>();
  BatchNormArguments a = arguments_of(call.in[Operand::x], attributes);
  Coefficients coefficients(a.channels, call.in[Operand::moments].as<double>(),
                            call.in[Operand::gamma].as<float>(), call.in[Operand::beta].as<float>(),
                            attributes.epsilon);
  coefficients.put_into(a);
  a.x = call.in[Operand::x].data;
  if (a.has_residual) a.residual = call.in[Operand::residual].data;
  a.out = call.out[Operand::y].data;
  const int64_t row_bytes = 2 * a.channels * static_cast<int64_t>(size_of(a.dtype));
  const auto apply = HWY_DYNAMIC_DISPATCH(batch_norm_apply_rows);
  for_ranges(threads_of(call), rows_of(call.in[Operand::x]), grain_of(row_bytes),
             [&](int64_t begin, int64_t end) { apply(a, begin, end); });
}

// in: dy, x, y, moments, gamma, beta
void batch_norm_gradient_statistics(const Call& call) {
  using Operand = operands::BatchNormGradientStatistics;
  const auto attributes = call.attributes.as<BatchNormAttributes>();
  BatchNormArguments a = arguments_of(call.in[Operand::x], attributes);
  const double* moments = call.in[Operand::moments].as<double>();
  Coefficients coefficients(a.channels, moments, call.in[Operand::gamma].as<float>(),
                            call.in[Operand::beta].as<float>(), attributes.epsilon);
  coefficients.put_into(a);
  a.dy = call.in[Operand::dy].data;
  a.x = call.in[Operand::x].data;
  a.y = call.in[Operand::y].data;
  const double* sums = sum_over_rows(call, a, rows_of(call.in[Operand::x]), 2 * a.channels,
                                     HWY_DYNAMIC_DISPATCH(batch_norm_gradient_sums));
  double* out = call.out[Operand::sums].as<double>();
  for (int64_t c = 0; c < a.channels; ++c) {
    const double rstd = Coefficients::deviation(a.channels, moments, c, attributes.epsilon);
    out[c] = sums[c];
    out[a.channels + c] = rstd * (sums[a.channels + c] - moments[1 + c] * sums[c]);
  }
}

// in: dy, x, y, moments, sums, gamma, beta
void batch_norm_gradient_apply(const Call& call) {
  using Operand = operands::BatchNormGradientApply;
  const auto attributes = call.attributes.as<BatchNormAttributes>();
  BatchNormArguments a = arguments_of(call.in[Operand::x], attributes);
  const double* moments = call.in[Operand::moments].as<double>();
  const float* gamma = call.in[Operand::gamma].as<float>();
  Coefficients coefficients(a.channels, moments, gamma, call.in[Operand::beta].as<float>(),
                            attributes.epsilon);
  if (!attributes.fixed) {
    coefficients.add_gradient(moments, call.in[Operand::sums].as<double>(), gamma,
                              attributes.epsilon);
  }
  coefficients.put_into(a);
  a.dy = call.in[Operand::dy].data;
  a.x = call.in[Operand::x].data;
  a.y = call.in[Operand::y].data;
  a.out = call.out[Operand::dx].data;
  if (a.has_residual) a.out_residual = call.out[Operand::dresidual].data;
  const int64_t row_bytes = 3 * a.channels * static_cast<int64_t>(size_of(a.dtype));
  const auto apply = HWY_DYNAMIC_DISPATCH(batch_norm_gradient_rows);
  for_ranges(threads_of(call), rows_of(call.in[Operand::x]), grain_of(row_bytes),
             [&](int64_t begin, int64_t end) { apply(a, begin, end); });
}

void batch_norm_parameter_gradient(const Call& call) {
  const double* sums = call.in[0].as<double>();
  const int64_t channels = call.out[0].count();
  for (int64_t c = 0; c < channels; ++c) {
    call.out[0].as<float>()[c] = static_cast<float>(sums[channels + c]);
    call.out[1].as<float>()[c] = static_cast<float>(sums[c]);
  }
}

void batch_norm_running_update(const Call& call) {
  const double momentum = call.attributes.as<RunningUpdate>().momentum;
  const double* moments = call.in[0].as<double>();
  if (moments[0] == 0) return;
  const int64_t channels = call.out[0].count();
  float* mean = call.out[0].as<float>();
  float* variance = call.out[1].as<float>();
  const double freedom = std::max(moments[0] - 1, 1.0);
  for (int64_t c = 0; c < channels; ++c) {
    const double unbiased = moments[1 + channels + c] / freedom;
    mean[c] = static_cast<float>(double{mean[c]} + momentum * (moments[1 + c] - double{mean[c]}));
    variance[c] =
        static_cast<float>(double{variance[c]} + momentum * (unbiased - double{variance[c]}));
  }
}

void column_sum(const Call& call) {
  const View& x = call.in[0];
  BatchNormArguments a{};
  a.dtype = x.dtype;
  a.channels = x.shape[-1];
  a.x = x.data;
  const double* sums =
      sum_over_rows(call, a, rows_of(x), a.channels, HWY_DYNAMIC_DISPATCH(column_sums));
  const View& out = call.out[0];
  for (int64_t c = 0; c < a.channels; ++c) {
    const float sum = static_cast<float>(sums[c]);
    if (out.dtype == DType::bf16) {
      out.as<BFloat16>()[c] = BFloat16(sum);
    } else {
      out.as<float>()[c] = sum;
    }
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"column_sum", {f32, bf16}, column_sum},
    KernelEntry{"batch_norm_statistics", {f32, bf16}, batch_norm_statistics},
    KernelEntry{"batch_norm_merge", {f64}, batch_norm_merge},
    KernelEntry{"batch_norm_fixed_moments", {f32}, batch_norm_fixed_moments},
    KernelEntry{"batch_norm_apply", {f32, bf16}, batch_norm_apply},
    KernelEntry{"batch_norm_gradient_statistics", {f32, bf16}, batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_apply", {f32, bf16}, batch_norm_gradient_apply},
    KernelEntry{"batch_norm_parameter_gradient", {f64}, batch_norm_parameter_gradient},
    KernelEntry{"batch_norm_running_update", {f64}, batch_norm_running_update},
};

}  // namespace

std::span<const KernelEntry> batch_norm_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
