// Which labels a draw uses, and which of these it holds out to choose hyper-parameters by.
#pragma once

#include <cstdint>
#include <vector>

#include "tasks/targets.h"

namespace lacuna {

// Of each sample its class, or 0 where the targets are no classes, and -1 where nothing is known of
// it: what is drawn, is drawn of each class alike.
std::vector<int64_t> strata(const Targets& targets);

// A seeded choice of samples, stratified: of each class the same fraction (at least one). Negative
// ones are left out. `draw` numbers independent choices. Sorted.
std::vector<int64_t> label_subset(const std::vector<int64_t>& labels, double fraction,
                                  uint64_t seed, uint64_t draw);

// How samples are held out.
struct HoldOut {
  enum class By {
    strata,  // a fifth of each class, chosen by the seed: at least one, and not all
    group,   // whole groups, chosen by the seed, with about a fifth of the samples
    time,    // the last fifth
  };
  By by = By::strata;
  std::vector<int64_t> group = {};  // [N] of each sample, by group
  std::vector<double> time = {};    // [N] of each sample, by time; empty: their order
};
// Of the samples named, in that order.
HoldOut select_rows(const HoldOut& all, const std::vector<int64_t>& rows);

struct Split {
  std::vector<int64_t> train, held_out;  // sorted
};
// Of `rows` (ascending, of samples with these strata) the held-out ones, and the rest. Of a class
// with one sample none is held out, so that there may be none at all; by group and time bad_input
// where both cannot have a sample.
Split hold_out_fifth(const std::vector<int64_t>& rows, const std::vector<int64_t>& strata,
                     const HoldOut& how, uint64_t seed);

}  // namespace lacuna
