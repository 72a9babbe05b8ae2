#include "modalities/array.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>
#include <utility>

#include "base/text.h"
#include "comm/agree.h"
#include "data/options.h"

namespace lacuna {

std::vector<Key> array_keys() {
  return {
      key::one_of("data.channels", {"auto", "last", "first", "none"}, "auto",
                  "Where the channels of a sample are; auto: none for images of two axes and "
                  "signals of one; otherwise where only one reading is plausible: of an image the "
                  "end axis of at most 4, or as long as a list among the dataset's attributes or "
                  "as data.mean; of a signal the shorter axis; asked for where that decides "
                  "nothing."),
      key::numbers(
          "data.range", "auto",
          "The values that become 0 and 1; values beyond are clamped. auto: of images the "
          "type's range for unsigned integers and bool, otherwise percentiles; of signals "
          "and vectors none: values stay as they are. channel: percentiles of each channel; "
          "taken by auto too where those of a channel span less than a hundredth of those "
          "of all.")
          .length(2)
          .or_word("auto")
          .or_word("percentiles")
          .or_word("channel")
          .or_word("none"),
      key::numbers("data.percentiles", "[0.1, 99.9]",
                   "The shares of values that become 0 and 1 where data.range is found from "
                   "percentiles, on a seeded sample of about a million values.")
          .unit("percent")
          .length(2)
          .between(0, 100),
      key::one_of("data.statistics", {"sample", "all", "given"}, "sample",
                  "Where mean and standard deviation of the channels come from: a seeded sample of "
                  "at most 4 GiB, all of the data, or data.mean and data.std."),
      key::numbers("data.mean", required, "Mean of each channel, after data.range.")
          .only_if("data.statistics", {"given"}),
      key::numbers("data.std", required, "Standard deviation of each channel, after data.range.")
          .above(0)
          .only_if("data.statistics", {"given"}),
  };
}

ArrayOptions array_options(const Configuration& configuration) {
  ArrayOptions options;
  const std::string& channels = configuration.text("data.channels");
  if (channels == "last") options.channels = Channels::last;
  if (channels == "first") options.channels = Channels::first;
  if (channels == "none") options.channels = Channels::none;
  if (configuration.is("data.range", "percentiles")) {
    options.range_from = ArrayOptions::RangeFrom::percentiles;
  } else if (configuration.is("data.range", "channel")) {
    options.range_from = ArrayOptions::RangeFrom::channel;
  } else if (configuration.is("data.range", "none")) {
    options.range_from = ArrayOptions::RangeFrom::none;
  } else if (!configuration.is("data.range", "auto")) {
    options.range_from = ArrayOptions::RangeFrom::given;
    const std::vector<double>& range = configuration.numbers("data.range");
    options.range = {range[0], range[1]};
    if (!(range[1] > range[0])) {
      bad_input(configuration.place("data.range"), ": data.range is [", range[0], ", ", range[1],
                "], but the second value must be the larger one");
    }
  }
  const std::vector<double>& percentiles = configuration.numbers("data.percentiles");
  options.percentiles = {percentiles[0], percentiles[1]};
  if (!(percentiles[1] > percentiles[0])) {
    bad_input(configuration.place("data.percentiles"), ": data.percentiles is [", percentiles[0],
              ", ", percentiles[1], "], but the second value must be the larger one");
  }
  const std::string& statistics = configuration.text("data.statistics");
  if (statistics == "all") options.statistics_from = ArrayOptions::StatisticsFrom::all;
  if (statistics == "given") {
    options.statistics_from = ArrayOptions::StatisticsFrom::given;
    options.mean = configuration.numbers("data.mean");
    options.std = configuration.numbers("data.std");
  }
  return options;
}

namespace {

// What the configuration leaves open, settled for the field.
ArrayOptions settled(ArrayOptions options, const ArrayKind& kind, const Field& field) {
  using From = ArrayOptions::RangeFrom;
  if (options.range_from == From::usual) options.range_from = kind.usual_range;
  if (options.range_from == From::type && !field.type_range) options.range_from = From::percentiles;
  if (options.range_from == From::type)
    options.range = {(*field.type_range)[0], (*field.type_range)[1]};
  return options;
}

// Of a sample without the parts of complex numbers.
Shape shape_of_numbers(const Field& field) {
  return field.complex ? field.shape.slice(0, field.shape.rank() - 1) : field.shape;
}

// `ranges`: of each channel, or none.
Interpretation interpretation_of(const Field& field, Channels channels, const ArrayOptions& options,
                                 const Range& range, const std::vector<Range>& ranges) {
  if (options.range_from == ArrayOptions::RangeFrom::none) return {field, channels};
  if (ranges.empty()) return {field, channels, range.low, range.high};
  std::vector<double> low, high;
  for (const Range& each : ranges) {
    low.push_back(each.low);
    high.push_back(each.high);
  }
  return Interpretation(field, channels).ranged(std::move(low), std::move(high));
}

Interpretation read_as(const ModalityParts& parts, const ArrayKind& kind, Channels channels) {
  return agreed(parts.communicator, [&] {
    const Field field = parts.dataset.sample_field();
    const Interpretation any(field, channels);
    if (any.shape().rank() != kind.rank) {
      bad_input(
          "samples of ", field.path, " have the shape ", shape_of_numbers(field), ", and ",
          kind.plural, " have ", kind.axes, ": name ", kind.plural,
          " in data.dataset, say in data.channels which axis is the channels', in data.samples "
          "which one counts samples, or in data.kind what samples are");
    }
    return any;
  });
}

// What the run that began with these data says or has found; nothing where it does neither.
std::optional<Channels> known_channels(const ModalityParts& parts) {
  const std::vector<double> stored = parts.known("channels");
  for (const Channels channels : {Channels::last, Channels::first, Channels::none})
    if (stored == std::vector<double>{static_cast<double>(channels)}) return channels;
  if (!stored.empty())
    bad_input("what was found in the data before holds channels that none can have: use another ",
              "checkpoint");
  return parts.run != nullptr ? array_options(*parts.run).channels : std::nullopt;
}

// Rows of samples of several rows have their channels last, or are one number each.
Channels channels_of(const ModalityParts& parts, const ArrayOptions& options,
                     const ArrayKind& kind) {
  const Dataset& dataset = parts.dataset;
  const Field field = dataset.sample_field();
  const Shape shape = shape_of_numbers(field);
  if (!dataset.layout().has_extents()) {
    if (options.channels) return *options.channels;
    if (parts.known) {
      const std::optional<Channels> known = known_channels(parts);
      if (!known) return kind.earlier_channels(shape);
      const bool fits = (*known == Channels::none) == (shape.rank() < kind.rank);
      if (fits) return *known;  // other files may have an axis more or less
    }
    return kind.usual_channels({.path = field.path,
                                .shape = shape,
                                .lists = field.lists,
                                .given = static_cast<int64_t>(options.mean.size())});
  }
  if (options.channels == Channels::first)
    bad_input("data.channels is \"first\", but samples that are several rows of ", field.path,
              " have their channels last: write them so that time comes before the channels");
  return shape.rank() < 2 ? Channels::none : Channels::last;
}

void check_given(const std::vector<double>& values, const char* name, int64_t channels,
                 const char* channel, const Field& field) {
  if (static_cast<int64_t>(values.size()) == channels) return;
  bad_input(name, " has ", counted(static_cast<int64_t>(values.size()), "value"),
            ", but samples of ", field.path, " have ", counted(channels, channel),
            ": give a value for each");
}

const char* name_of(Channels channels) {
  return channels == Channels::first ? "first" : channels == Channels::last ? "last" : "none";
}

}  // namespace

ArrayValues::ArrayValues(const ModalityParts& parts, const ArrayKind& kind)
    : options_(settled(array_options(parts.configuration), kind, parts.dataset.sample_field())),
      dataset_(&parts.dataset),
      channel_(kind.channel),
      channels_(agreed(parts.communicator, [&] { return channels_of(parts, options_, kind); })),
      range_open_(parts.configuration.is("data.range", "auto")),
      range_(options_.range),
      interpretation_(read_as(parts, kind, channels_)) {
  if (parts.known)
    take_known(parts, kind);
  else
    find(parts);
  agreed(parts.communicator, [&] { check_channels(); });
  replace_missing(parts.missing);
}

// What is missing is delivered in the units of the rest.
void ArrayValues::replace_missing(const MissingNumbers& missing) {
  missing_numbers_ = missing;
  if (!dataset_->fields()[0].may_miss) return;
  std::vector<double> instead = mean_;
  if (missing.value) {
    for (size_t c = 0; c < instead.size(); ++c)
      instead[c] = interpretation_.delivered(*missing.value, static_cast<int64_t>(c));
  }
  interpretation_ = interpretation_.replacing(std::move(instead));
}

void ArrayValues::take_known(const ModalityParts& parts, const ArrayKind& kind) {
  const std::vector<double> range = parts.known("range");
  agreed(parts.communicator, [&] {
    bool good = !range.empty() && range.size() % 2 == 0;
    for (size_t i = 0; good && i < range.size(); i += 2)
      good = range[i] < range[i + 1] && std::isfinite(range[i + 1] - range[i]);
    if (!good) {
      bad_input("what was found in the data before holds no range, or one that none can have: use ",
                "another checkpoint");
    }
  });
  range_ = {range[0], range[1]};
  for (size_t i = 0; range.size() > 2 && i < range.size(); i += 2)
    ranges_.push_back({range[i], range[i + 1]});
  // Whether values were scaled is a matter of the run that found the facts.
  if (parts.run != nullptr)
    options_.range_from =
        settled(array_options(*parts.run), kind, dataset_->sample_field()).range_from;
  mean_ = parts.known("mean");
  std_ = parts.known("std");
  stores_channels_ = !parts.known("channels").empty();
  for (const double character : parts.known("units"))
    units_ += std::abs(character) < 128 ? static_cast<char>(character) : '?';
  const Field& field = dataset_->fields()[0];
  if (!units_.empty() && !field.units.empty() && units_ != field.units)
    warnings_.push_back(concat("samples of ", field.path, " are in ", field.units,
                               ", and those of the run were in ", units_,
                               ": convert them, unless both mean the same"));
  agreed(parts.communicator, [&] {
    check_channels();
    if (!ranges_.empty() && ranges_.size() != mean_.size())
      bad_input("what was found in the data before holds ranges of ", ranges_.size(),
                " channels and statistics of ", mean_.size(), ": use another checkpoint");
  });
  interpretation_ =
      interpretation_of(dataset_->sample_field(), channels_, options_, range_, ranges_);
}

ArrayValues::ArrayValues(Interpretation interpretation, std::vector<double> mean,
                         std::vector<double> std)
    : range_{interpretation.low(), interpretation.high()},
      interpretation_(std::move(interpretation)),
      mean_(std::move(mean)),
      std_(std::move(std)) {
  options_.range_from = ArrayOptions::RangeFrom::given;
}

// Range first, since statistics are of the values that it makes.
void ArrayValues::find(const ModalityParts& parts) {
  const Field field = dataset_->sample_field();
  const int number = dataset_->field(sample_field);
  Communicator& communicator = parts.communicator;
  units_ = field.units;
  find_range(parts);
  interpretation_ = interpretation_of(field, channels_, options_, range_, ranges_);
  warnings_ = doubts_of_axes(parts.dataset, parts.configuration);
  const int64_t channels = interpretation_.channels();
  if (options_.statistics_from == ArrayOptions::StatisticsFrom::given) {
    agreed(communicator, [&] {
      check_given(options_.mean, "data.mean", channels, channel_, field);
      check_given(options_.std, "data.std", channels, channel_, field);
    });
    mean_ = options_.mean;
    std_ = options_.std;
  } else if (parts.index_only) {
    mean_.assign(static_cast<size_t>(channels), 0);
    std_.assign(static_cast<size_t>(channels), 1);
  } else {
    ScanOptions scan = parts.scan;
    if (options_.statistics_from == ArrayOptions::StatisticsFrom::all) scan.most_bytes = 0;
    ChannelStatistics found =
        channel_statistics(*dataset_, number, interpretation_, scan, communicator);
    mean_ = std::move(found.mean);
    std_ = std::move(found.std);
    missing_ = found.missing;
    warn_of_constant(found.constant);
    if (found.flat_samples * 1000 >= found.samples && found.flat_samples > 0)
      warnings_.push_back(concat(found.flat_samples, " of ", found.samples,
                                 " samples that were looked at hold one value throughout, from "
                                 "which nothing can be learnt: remove them"));
  }
}

void ArrayValues::find_range(const ModalityParts& parts) {
  using From = ArrayOptions::RangeFrom;
  if (options_.range_from != From::percentiles && options_.range_from != From::channel) return;
  range_found_ = !parts.index_only;
  if (parts.index_only) return;
  FoundRanges found = percentile_ranges(*dataset_, dataset_->field(sample_field), interpretation_,
                                        options_.percentiles, parts.scan, parts.communicator);
  range_ = found.all;
  if (found.channels.size() == 1) return;
  if (options_.range_from == From::channel || (range_open_ && found.unlike()))
    ranges_ = std::move(found.channels);
}

void ArrayValues::warn_of_constant(const std::vector<int64_t>& channels) {
  if (channels.empty()) return;
  constexpr size_t shown = 8;
  std::vector<std::string> numbers;
  for (size_t i = 0; i < std::min(shown, channels.size()); ++i)
    numbers.push_back(std::to_string(channels[i]));
  const bool one = channels.size() == 1;
  warnings_.push_back(concat(
      channel_, one ? " " : "s ", join(numbers, ", "), channels.size() > shown ? ", ..." : "",
      " of ", dataset_->fields()[0].path, " (counted from 0) ", one ? "has" : "have",
      " the same value throughout", interpretation_.as_they_are() ? "" : ", read as 0 to 1",
      ", from which nothing can be learnt"));
}

std::vector<double> ArrayValues::centre() const {
  const bool away = interpretation_.as_they_are() && is_wide(interpretation_.stored());
  return away ? mean_ : std::vector<double>(mean_.size(), 0.0);
}

Interpretation ArrayValues::centred() const {
  const bool away = interpretation_.as_they_are() && is_wide(interpretation_.stored());
  return away ? interpretation_.centred(mean_) : interpretation_;
}

std::vector<float> ArrayValues::mean_of_centred() const {
  const std::vector<double> taken = centre();
  std::vector<float> left;
  for (size_t i = 0; i < mean_.size(); ++i) left.push_back(static_cast<float>(mean_[i] - taken[i]));
  return left;
}

void ArrayValues::check_channels() const {
  if (static_cast<int64_t>(mean_.size()) == interpretation_.channels()) return;
  bad_input("samples of ", dataset_->sample_field().path, " have ",
            counted(interpretation_.channels(), channel_), ", but the statistics are of ",
            mean_.size(),
            ": use data like that of the run, or give data.mean and data.std for each ", channel_);
}

Facts ArrayValues::facts() const {
  std::vector<double> range = {range_.low, range_.high};
  if (!ranges_.empty()) range.clear();
  for (const Range& each : ranges_) range.insert(range.end(), {each.low, each.high});
  Facts all = {{"range", range}, {"mean", mean_, "channel"}, {"std", std_, "channel"}};
  if (stores_channels_) all.push_back({"channels", {static_cast<double>(channels_)}});
  if (!units_.empty()) all.push_back({"units", {units_.begin(), units_.end()}, "character"});
  return all;
}

std::string ArrayValues::range_text() const {
  if (interpretation_.as_they_are()) return ", values as they are";
  if (!range_found_)
    return concat(
        options_.range_from == ArrayOptions::RangeFrom::channel ? ", each channel's" : ", its",
        " percentiles ", options_.percentiles[0], " and ", options_.percentiles[1], " as 0 and 1");
  if (!ranges_.empty()) {
    constexpr size_t shown = 4;
    std::vector<std::string> texts;
    for (size_t c = 0; c < std::min(shown, ranges_.size()); ++c)
      texts.push_back(concat(ranges_[c].low, " to ", ranges_[c].high));
    return concat(", the range of each ", channel_, " as 0 to 1 (", join(texts, ", "),
                  ranges_.size() > shown ? ", ..." : "", ")");
  }
  return concat(", ", range_.low, " to ", range_.high, " as 0 to 1");
}

// ", 3.1 % missing as the mean"
std::string ArrayValues::missing_text() const {
  if (missing_numbers_.refused || missing_ == 0.0) return "";
  std::ostringstream share;
  if (missing_) share << std::setprecision(2) << 100 * *missing_ << " % ";
  return concat(", ", share.str(), "missing as ",
                missing_numbers_.value ? concat(*missing_numbers_.value) : "the mean");
}

std::string ArrayValues::numbers_text() const {
  const Field field = dataset_ == nullptr ? Field{} : dataset_->fields()[0];
  const std::string units = field.units.empty() ? "" : concat(", in ", field.units);
  return concat(field.type.empty() ? lacuna::name_of(interpretation_.stored()) : field.type,
                field.scaled ? " by scale_factor and add_offset" : "", range_text(), missing_text(),
                units);
}

std::string ArrayValues::description() const {
  const bool complex = dataset_ != nullptr && dataset_->fields()[0].complex;
  const std::string parts = complex ? " of real and imaginary parts" : "";
  const std::string where =
      channels_ == Channels::none ? parts : concat(parts, " (", name_of(channels_), ")");
  return concat(counted(interpretation_.channels(), channel_), where, ", ", numbers_text());
}

Survey ArrayValues::survey(SurveyOptions options) const {
  if (options_.range_from == ArrayOptions::RangeFrom::given) options.range = options_.range;
  Survey survey = survey_samples(*dataset_, channels_, options);
  if (options_.range_from == ArrayOptions::RangeFrom::type) survey.type_range = range_;
  return survey;
}

double exact_share(double share, int64_t count) {
  const auto all = static_cast<double>(count);
  return static_cast<double>(std::clamp<int64_t>(std::llround(share * all), 1, count - 1)) / all;
}

namespace {

class ArrayRecipe final : public Recipe {
 public:
  ArrayRecipe(const Interpretation& interpretation,
              std::shared_ptr<const Augmentation> augmentation)
      : interpretation_(interpretation), augmentation_(std::move(augmentation)) {
    LACUNA_CHECK(augmentation_->input() == interpretation_.shape(), augmentation_->input(), " and ",
                 interpretation_.shape());
  }
  const std::vector<OutputField>& outputs() const override { return augmentation_->outputs(); }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override {
    // The floats of this thread's sample; the augmentation has `scratch` for itself.
    thread_local std::vector<float> floats;
    floats.resize(static_cast<size_t>(interpretation_.shape().count()));
    interpretation_.floats(stored[0].data, floats.data());
    augmentation_->apply(floats.data(), key, to, scratch);
  }

  const Augmentation& augmentation() const { return *augmentation_; }

 private:
  Interpretation interpretation_;
  std::shared_ptr<const Augmentation> augmentation_;
};

}  // namespace

const Augmentation& augmentation_of(const Recipe& recipe) {
  const auto* made = dynamic_cast<const ArrayRecipe*>(&recipe);
  LACUNA_CHECK(made != nullptr);
  return made->augmentation();
}

RecipePointer array_recipe(const Interpretation& interpretation,
                           std::shared_ptr<const Augmentation> augmentation) {
  return std::make_shared<ArrayRecipe>(interpretation, std::move(augmentation));
}

}  // namespace lacuna
