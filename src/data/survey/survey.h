// Survey: what a sample of the data looks like, before anything is trained on it: values that are
// no numbers, constant samples, samples that equal or closely resemble others, and how diverse they
// are. In seconds, whatever the size of the data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/files/dataset.h"
#include "data/values/interpretation.h"
#include "data/values/statistics.h"

namespace lacuna {

struct SurveyOptions {
  uint64_t seed = 0;
  int threads = 1;
  int64_t most_bytes = 128 << 20;   // of decoded blocks, drawn by the seed
  double most_seconds = 3;          // for reading them
  int64_t most_compared = 4000;     // samples of which each is compared with each
  std::optional<Range> range = {};  // values outside are counted
};

// Samples that another one equals or resembles. Pairs far from each other are seldom both in a
// sample of the data: what that means for all of the data is an interval.
struct Twins {
  int64_t looked_at = 0;
  int64_t found = 0;  // of these
  double least = 0,
         most = 0;  // share of all samples, 95 %; where all were looked at both are what was found
  double expected = 0;
  std::pair<int64_t, int64_t> example = {-1, -1};  // two samples of the data set
};

struct Survey {
  int64_t samples = 0;         // that were looked at
  bool all = false;            // they are all
  int64_t not_finite = 0;      // samples that hold a NaN or an infinity
  bool by_attributes = false;  // whether these may be numbers that attributes call missing
  double missing = 0;          // share of values, where some may be missing
  std::vector<double> channel_low, channel_high;  // of each channel: least and greatest
  std::string where;                              // the first of them: "row 12 of /images in a.h5"
  int64_t constant = 0;                           // samples of one value
  int64_t empty = 0;                              // samples without a value: extents of no rows
  int64_t too_short = 0;                          // samples that are too short for a thumbnail
  double low = 0, high = 0;                       // least and greatest finite value
  std::optional<Range> type_range;                // where that is the range that becomes 0 to 1
  double outside = 0;                             // share of values outside the range
  Twins equal;                                    // to the bit
  int64_t contradictions = 0;                     // samples equal to one of another label
  // By thumbnails: all channels' mean, in at most 16 x 16 cells (256 along one axis), mean and
  // spread taken out; cells behind the end of a shorter sample count as its mean. Two are alike
  // where their correlation is above 0.995: the same but for brightness, contrast and slight noise.
  Twins alike;
  // Independent directions that would spread thumbnails as widely; 0: too few values for one.
  double directions = 0;
  double read_seconds = 0;  // of one thread, for a sample: reading and decoding
};

Survey survey_samples(const Dataset& dataset, Channels channels, const SurveyOptions& options);

}  // namespace lacuna
