// How samples are divided over groups: classes, or the files that they lie in; and how well the
// order of training mixes the groups.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "data/files/dataset.h"
#include "data/order/order.h"

namespace lacuna {

struct Balance {
  int64_t samples = 0;
  std::map<int64_t, int64_t> counts;  // samples of each group that occurs
  int64_t fewest = 0, most = 0;       // samples of a group
  double effective = 1;  // groups of equal size that would be as diverse: exp of the entropy
};

Balance balance_of(std::span<const int64_t> groups);

// The field "label" in the order of the data set; where there are more than `most`, or files beyond
// number, some runs of them, evenly spaced.
// bad_input where labels are not one number for each sample.
struct LabelScan {
  std::vector<int64_t> labels;  // rounded towards zero
  bool all = true;
  int64_t broken = 0;  // NaN, infinite, or no whole number
};
LabelScan scan_labels(const Dataset& dataset, int64_t most = 1 << 22);

// The file of each sample.
std::vector<int64_t> file_of_samples(const Dataset& dataset);

// Effective groups in a batch of training, over those in a batch of as many samples drawn at
// random: 1 where the order mixes as well as chance, less where neighbours in the data are of one
// group and too few places are mixed.
double mixing(const OrderSpec& order, int64_t batch, std::span<const int64_t> groups);

}  // namespace lacuna
