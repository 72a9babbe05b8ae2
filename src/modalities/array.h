// What modalities of numbers on a grid share (images, signals, vectors): which stored numbers are 0
// and 1, where the channels are, mean and spread of each channel, and recipes of an augmentation.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "augment/augmentation.h"
#include "data/values/interpretation.h"
#include "data/values/statistics.h"
#include "modalities/channels.h"
#include "modalities/modality.h"

namespace lacuna {

// data.channels, data.range, data.percentiles, data.statistics, data.mean, data.std.
std::vector<Key> array_keys();

struct ArrayOptions {
  std::optional<Channels> channels;  // none: as usual for the shape
  enum class RangeFrom {
    usual,
    type,
    percentiles,
    channel,
    given,
    none
  } range_from = RangeFrom::usual;
  Range range;  // if given
  std::array<double, 2> percentiles = {0.1, 99.9};
  enum class StatisticsFrom { sample, all, given } statistics_from = StatisticsFrom::sample;
  std::vector<double> mean, std;  // if given; one value for each channel
};
// Throws bad_input on what a key alone cannot check.
ArrayOptions array_options(const Configuration& configuration);

// What a modality asks of the samples.
struct ArrayKind {
  // "signals", "a length and perhaps channels".
  const char* plural;
  const char* axes;
  int rank;  // of a decoded sample, its channels included
  // Where channels are, and where the range is from, when the configuration leaves it open; the
  // first of the earlier runs that did not store it. bad_input where it does not follow.
  Channels (*earlier_channels)(const Shape& stored);
  Channels (*usual_channels)(const ChannelHints& hints);
  ArrayOptions::RangeFrom usual_range;
  const char* channel = "channel";  // what its users call one
};

// How the samples are read, and the facts that this rests on.
class ArrayValues {
 public:
  // Collective. Finds range and statistics, or takes them from what is known. bad_input, on every
  // rank, where the samples are not of this kind.
  ArrayValues(const ModalityParts& parts, const ArrayKind& kind);
  // With statistics of the caller's own; `options` as if given.
  ArrayValues(Interpretation interpretation, std::vector<double> mean, std::vector<double> std);

  const Interpretation& interpretation() const { return interpretation_; }
  const Shape& shape() const { return interpretation_.shape(); }
  const ArrayOptions& options() const { return options_; }
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& std() const { return std_; }
  std::vector<float> mean_as_float() const { return {mean_.begin(), mean_.end()}; }
  std::vector<float> std_as_float() const { return {std_.begin(), std_.end()}; }

  // interpretation(), less what centre() has of each channel: the mean of values that stay as they
  // are and that float32 does not hold, else 0.
  Interpretation centred() const;
  std::vector<double> centre() const;
  // What is left of the mean then.
  std::vector<float> mean_of_centred() const;

  // "range", "mean", "std"; "channels", but of earlier runs; and "units", its bytes, where samples
  // have some.
  Facts facts() const;
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Whether facts hold that an earlier version did not find and did not need.
  bool of_earlier_run() const { return !stores_channels_; }
  // "3 channels (last), uint8, 0 to 255 as 0 to 1".
  std::string description() const;
  // "uint8, 0 to 255 as 0 to 1, 3 % missing as the mean, in K": the end of that.
  std::string numbers_text() const;
  Survey survey(SurveyOptions options) const;

 private:
  void take_known(const ModalityParts& parts, const ArrayKind& kind);
  void find(const ModalityParts& parts);
  void replace_missing(const MissingNumbers& missing);
  void find_range(const ModalityParts& parts);
  void warn_of_constant(const std::vector<int64_t>& channels);
  void check_channels() const;
  std::string range_text() const;
  std::string missing_text() const;

  ArrayOptions options_;
  const Dataset* dataset_ = nullptr;  // of the data that it was made for
  const char* channel_ = "channel";   // ArrayKind::channel
  Channels channels_ = Channels::last;
  std::string units_;            // of the samples, those of the run's
  bool stores_channels_ = true;  // whether that is a fact of the run
  bool range_found_ = true;      // whether more than the index was read for it
  bool range_open_ = false;      // whether data.range leaves it open
  Range range_;
  std::vector<Range> ranges_;  // of each channel, where each has its own
  Interpretation interpretation_;
  std::vector<double> mean_, std_;
  MissingNumbers missing_numbers_;
  std::optional<double> missing_;  // share of the values, where it was found
  std::vector<std::string> warnings_;
};

// Of `count` positions the share that is hidden where this share is asked for: a whole number of
// them, at least one and not all.
double exact_share(double share, int64_t count);

// The sample as floats, then the augmentation.
RecipePointer array_recipe(const Interpretation& interpretation,
                           std::shared_ptr<const Augmentation> augmentation);
// Of a recipe that array_recipe() made; lives as long as that.
const Augmentation& augmentation_of(const Recipe& recipe);

}  // namespace lacuna
