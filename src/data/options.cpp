#include "data/options.h"

#include "base/error.h"
#include "config/configuration.h"

namespace lacuna {

std::vector<Key> data_keys() {
  return {
      key::paths("data.files", required,
                 "HDF5 files, or patterns of them (*, ?, []); read in the bytewise order of their "
                 "paths."),
      key::text("data.dataset", required,
                "Path of the samples in each file; the first axis counts samples."),
      key::one_of("data.kind", {"image"}, "image",
                  "What a sample is. Samples of two axes of which one is at most 4 long might be "
                  "signals as well as images, so they ask for it, unless data.channels is given."),
      key::text("data.label", "",
                "Path of the labels in each file, one whole number for each sample; empty: there "
                "are none."),
      key::one_of("data.channels", {"auto", "last", "first", "none"}, "auto",
                  "Where the channels of a sample are; auto: none for samples of at most two axes, "
                  "otherwise last."),
      key::numbers("data.range", "auto",
                   "The values that become 0 and 1; values beyond are clamped. auto: the type's "
                   "range for unsigned integers, otherwise percentiles.")
          .length(2)
          .or_word("auto")
          .or_word("percentiles"),
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
      key::bytes(
          "data.buffer", "1 GiB",
          "Memory of each rank for decoded data; what does not fit is read again in the next "
          "epoch.")
          .min(1 << 20)
          .execution(),
      key::integer("data.lanes", "0",
                   "Sequences of chunks that every batch draws from; 0: as many of 240, 120, 60, "
                   "48, 24, 12, 6, 4, 2, 1 as batch, chunks and data.buffer allow. Stored in the "
                   "run.")
          .min(0)
          .max(static_cast<double>(most_lanes)),
      key::integer("data.window", "0",
                   "Chunks of a lane that are shuffled with each other; 0: as many as fit into "
                   "data.buffer. Stored in the run.")
          .unit("chunks")
          .min(0),
      key::integer("data.workers", "auto",
                   "Threads of each rank that read and augment while the others train; 0: the "
                   "training threads do it between steps.")
          .min(0)
          .max(1024)
          .or_word("auto")
          .execution(),
  };
}

DataOptions data_options(const Configuration& configuration) {
  DataOptions options;
  options.files = configuration.paths("data.files");
  options.dataset = configuration.text("data.dataset");
  options.label = configuration.text("data.label");
  const std::string& channels = configuration.text("data.channels");
  if (channels == "last") options.channels = Channels::last;
  if (channels == "first") options.channels = Channels::first;
  if (channels == "none") options.channels = Channels::none;
  if (configuration.is("data.range", "percentiles")) {
    options.range_from = DataOptions::RangeFrom::percentiles;
  } else if (!configuration.is("data.range", "auto")) {
    options.range_from = DataOptions::RangeFrom::given;
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
  if (statistics == "all") options.statistics_from = DataOptions::StatisticsFrom::all;
  if (statistics == "given") {
    options.statistics_from = DataOptions::StatisticsFrom::given;
    options.mean = configuration.numbers("data.mean");
    options.std = configuration.numbers("data.std");
  }
  options.buffer = configuration.bytes("data.buffer");
  options.lanes = configuration.integer("data.lanes");
  options.window = configuration.integer("data.window");
  if (!configuration.is("data.workers", "auto")) {
    options.workers = static_cast<int>(configuration.integer("data.workers"));
  }
  return options;
}

Dataset open_dataset(const DataOptions& options, Communicator& communicator,
                     const std::vector<FieldSpec>& columns) {
  std::vector<FieldSpec> fields = {{sample_field, options.dataset}};
  if (!options.label.empty()) fields.push_back({label_field, options.label});
  fields.insert(fields.end(), columns.begin(), columns.end());
  return Dataset(options.files, std::move(fields), communicator);
}

namespace {

// The range, where it needs no look at the values.
std::optional<Range> known_range(const DataOptions& options, DType dtype) {
  if (options.range_from == DataOptions::RangeFrom::given) return options.range;
  const bool is_unsigned = dtype == DType::u8 || dtype == DType::u16;
  if (options.range_from == DataOptions::RangeFrom::type && is_unsigned) return type_range(dtype);
  return std::nullopt;
}

void check_given(const std::vector<double>& values, const char* name, int64_t channels,
                 const Field& field) {
  if (static_cast<int64_t>(values.size()) == channels) return;
  bad_input(name, " has ", values.size(), " values, but samples of ", field.path, " have ",
            channels, " channels");
}

}  // namespace

Interpretation interpretation_of(const Dataset& dataset, const DataOptions& options,
                                 const Range& range) {
  const Field& field = dataset.fields()[static_cast<size_t>(dataset.field(sample_field))];
  const Channels channels = options.channels.value_or(usual_channels(field.shape));
  return Interpretation(field, channels, range.low, range.high);
}

DataFacts planned_facts(const Dataset& dataset, const DataOptions& options, int64_t batch) {
  DataFacts facts;
  const Field& samples = dataset.fields()[static_cast<size_t>(dataset.field(sample_field))];
  facts.range = known_range(options, samples.dtype).value_or(Range{});
  const int64_t channels = interpretation_of(dataset, options, facts.range).channels();
  facts.mean.assign(static_cast<size_t>(channels), 0);
  facts.std.assign(static_cast<size_t>(channels), 1);
  if (options.statistics_from == DataOptions::StatisticsFrom::given) {
    check_given(options.mean, "data.mean", channels, samples);
    check_given(options.std, "data.std", channels, samples);
    facts.mean = options.mean;
    facts.std = options.std;
  }
  const LanePlan plan = plan_lanes(batch, dataset.blocks(), dataset.largest_block_bytes(),
                                   options.buffer, options.lanes, options.window);
  facts.lanes = plan.lanes;
  facts.window = plan.window;
  return facts;
}

DataFacts find_facts(const Dataset& dataset, const DataOptions& options, int64_t batch,
                     uint64_t seed, int threads, Communicator& communicator) {
  const int field = dataset.field(sample_field);
  ScanOptions scan;
  scan.seed = seed;
  scan.threads = threads;
  scan.buffer = std::min<int64_t>(options.buffer, scan.buffer);
  DataFacts facts = planned_facts(dataset, options, batch);
  if (!known_range(options, dataset.fields()[static_cast<size_t>(field)].dtype))
    facts.range = percentile_range(dataset, field, options.percentiles, scan, communicator);
  if (options.statistics_from != DataOptions::StatisticsFrom::given) {
    if (options.statistics_from == DataOptions::StatisticsFrom::all) scan.most_bytes = 0;
    ChannelStatistics found = channel_statistics(
        dataset, field, interpretation_of(dataset, options, facts.range), scan, communicator);
    facts.mean = std::move(found.mean);
    facts.std = std::move(found.std);
  }
  return facts;
}

OrderSpec order_spec(const Dataset& dataset, const DataFacts& facts, uint64_t seed,
                     std::vector<int64_t> subset) {
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.subset = std::move(subset);
  spec.lanes = facts.lanes;
  spec.window = facts.window;
  spec.seed = seed;
  return spec;
}

}  // namespace lacuna
