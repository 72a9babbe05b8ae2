#include "kernels/nt_xent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// The rows of both views: `mine` of this rank, `all` of all ranks.
struct Batch {
  using Operand = operands::NtXent;
  const double* mine[2];
  const double* all[2];
  int64_t rows, all_rows, features, first;
  double temperature;

  Batch(const View* z, const NtXent& p)
      : mine{z[Operand::z0].as<double>(), z[Operand::z1].as<double>()},
        all{z[Operand::all0].as<double>(), z[Operand::all1].as<double>()},
        rows(z[Operand::z0].shape[0]),
        all_rows(z[Operand::all0].shape[0]),
        features(z[Operand::z0].shape[1]),
        first(*z[Operand::first].as<int64_t>()),
        temperature(p.temperature) {
    LACUNA_CHECK(first >= 0 && first + rows <= all_rows, "nt_xent of ", rows, " rows from row ",
                 first, " of ", all_rows);
  }

  double similarity(int view, int64_t i, int other_view, int64_t j) const {
    const double* zi = mine[view] + i * features;
    return std::inner_product(zi, zi + features, all[other_view] + j * features, 0.0) / temperature;
  }
  // Calls f(view, row) for all rows of the global batch but row i of `view` itself.
  template <typename F>
  void for_each_other(int view, int64_t i, const F& f) const {
    for (int other = 0; other < 2; ++other) {
      for (int64_t j = 0; j < all_rows; ++j) {
        if (other != view || j != first + i) f(other, j);
      }
    }
  }
  double log_sum_exp(int view, int64_t i) const {
    double largest = -std::numeric_limits<double>::infinity();
    for_each_other(view, i, [&](int other, int64_t j) {
      largest = std::max(largest, similarity(view, i, other, j));
    });
    double sum = 0;
    for_each_other(view, i, [&](int other, int64_t j) {
      sum += std::exp(similarity(view, i, other, j) - largest);
    });
    return largest + std::log(sum);
  }
};

void nt_xent(const Call& call) {
  using Operand = operands::NtXent;
  const Batch batch(call.in.data(), call.attributes.as<NtXent>());
  double* lse = call.out[Operand::lse].as<double>();
  double loss = 0;
  for (int view = 0; view < 2; ++view) {
    for (int64_t i = 0; i < batch.rows; ++i) {
      const double row_lse = lse[view * batch.rows + i] = batch.log_sum_exp(view, i);
      loss += row_lse - batch.similarity(view, i, 1 - view, batch.first + i);
    }
  }
  *call.out[Operand::loss].as<double>() = loss / static_cast<double>(2 * batch.all_rows);
}

void nt_xent_gradient(const Call& call) {
  using Operand = operands::NtXentGradient;
  const Batch batch(call.in.data() + 1, call.attributes.as<NtXent>());
  const double dloss = *call.in[Operand::dloss].as<double>();
  const double* lse = call.in[Operand::lse].as<double>();
  for (const View& gradient : call.out) {
    std::fill_n(gradient.as<double>(), gradient.count(), 0.0);
  }
  const double factor = dloss / static_cast<double>(2 * batch.all_rows) / batch.temperature;
  for (int view = 0; view < 2; ++view) {
    for (int64_t i = 0; i < batch.rows; ++i) {
      const double* zi = batch.mine[view] + i * batch.features;
      double* dzi = call.out[static_cast<size_t>(view)].as<double>() + i * batch.features;
      batch.for_each_other(view, i, [&](int other, int64_t j) {
        const bool pair = other != view && j == batch.first + i;
        const double p = std::exp(batch.similarity(view, i, other, j) - lse[view * batch.rows + i]);
        const double g = factor * (p - (pair ? 1 : 0));
        const double* zj = batch.all[other] + j * batch.features;
        double* dzj = call.out[static_cast<size_t>(2 + other)].as<double>() + j * batch.features;
        for (int64_t d = 0; d < batch.features; ++d) {
          dzi[d] += g * zj[d];
          dzj[d] += g * zi[d];
        }
      });
    }
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"nt_xent", {f64}, nt_xent},
    KernelEntry{"nt_xent_gradient", {f64}, nt_xent_gradient},
};

}  // namespace

std::span<const KernelEntry> nt_xent_kernels() { return table; }

}  // namespace lacuna::reference
