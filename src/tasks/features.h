// Features: representations (or pixels) of labelled samples, in host memory, as the tasks read
// them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/host_tensor.h"

namespace lacuna {

struct Features {
  HostTensor values;            // f32 [N, D]
  std::vector<int64_t> labels;  // N; 0 <= label < classes
  int64_t count() const { return values.shape()[0]; }
  int64_t dimension() const { return values.shape()[1]; }
};

// The rows named, in that order.
Features select_rows(const Features& all, const std::vector<int64_t>& rows);

// Mean and standard deviation per dimension.
struct Standardisation {
  std::vector<double> mean, deviation;
};
Standardisation standardisation(const Features& features);
// Each dimension to mean 0 and deviation 1 (as of `by`); constant dimensions become 0.
void standardise(Features& features, const Standardisation& by);

int64_t class_count(const std::vector<int64_t>& labels);
// Fraction of equal entries.
double accuracy(const std::vector<int64_t>& predicted, const std::vector<int64_t>& labels);

// A seeded choice of samples, stratified: of each class the same fraction (at least one).
// `draw` numbers independent choices. Sorted.
std::vector<int64_t> label_subset(const std::vector<int64_t>& labels, double fraction,
                                  uint64_t seed, uint64_t draw);

// Of `rows` (of samples with `labels`) a stratified fifth, chosen by the seed, and the rest.
struct Split {
  std::vector<int64_t> train, held_out;
};
Split hold_out_fifth(const std::vector<int64_t>& rows, const std::vector<int64_t>& labels,
                     uint64_t seed);

}  // namespace lacuna
