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
                "Path of the samples in each file; or a pattern (*, ?, []) of datasets that are "
                "one sample each, in natural order."),
      key::one_of("data.samples", {"first", "last", "file"}, "first",
                  "Which axis of the stored samples counts them: the first or the last; file: "
                  "none, each file is one sample, or one series."),
      key::integer("data.leading", "1",
                   "Axes of the stored samples in front that count them, or count series of which "
                   "data.hop takes windows; 0: as data.samples = \"file\".")
          .between(0, 4),
      key::text("data.label", "",
                "Path of the labels in each file: whole numbers, which embed writes beside the "
                "representations; for finetune all that its task can learn (docs/data.md); empty: "
                "there are none."),
      key::number(
          "data.missing", "refuse",
          "What numbers count as that are NaN, infinite, or missing by the attributes "
          "_FillValue, missing_value, valid_range, valid_min, valid_max or by data.valid: a "
          "value, or the mean of their channel; refuse: none may be.")
          .or_word("refuse")
          .or_word("mean"),
      key::text("data.valid", "",
                "Path of what says which numbers of the samples count, 0 where they do not: one "
                "value for each number, pixel, channel or sample; empty: there is none."),
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

std::vector<Key> extent_keys() {
  return {
      key::text(
          "data.offsets", "",
          "Path of a column of N + 1 whole numbers in each file: sample i is the rows from "
          "offsets[i] up to offsets[i + 1] of the first axis; with data.hop these rows are series "
          "i, of which windows are taken. "
          "Empty: there is none."),
      key::integer("data.length", "0",
                   "Positions of a sample where the stored ones may differ: shorter ones are "
                   "padded, longer ones cut; with data.hop, of a window. 0: all have the same.")
          .min(0)
          .max(1 << 24),
      key::integer("data.hop", "0",
                   "Positions from one window to the next, of each series; 0: samples are no "
                   "windows.")
          .min(0)
          .max(1 << 24),
  };
}

namespace {

// data.samples and data.leading.
SampleLayout layout_of_axes(const Configuration& configuration) {
  SampleLayout layout;
  layout.leading = static_cast<int>(configuration.integer("data.leading"));
  const std::string& samples = configuration.text("data.samples");
  if (samples == "first") return layout;
  if (layout.leading > 1)
    bad_input(configuration.place("data.leading"), ": data.leading = ", layout.leading,
              " counts along the first axes, and data.samples is \"", samples,
              "\": leave one of them out");
  layout.leading = samples == "file" ? 0 : 1;
  layout.last = samples == "last";
  return layout;
}

// bad_input where one of these is set beside a layout that it does not go with.
void refuse_with(const Configuration& configuration, const std::string& what,
                 const SampleLayout& layout) {
  const std::string beside = layout.leading != 1       ? "data.leading"
                             : !layout.offsets.empty() ? "data.offsets"
                             : layout.has_windows()    ? "data.hop"
                             : layout.length > 0       ? "data.length"
                                                       : "";
  if (!beside.empty())
    bad_input(configuration.place(beside), ": ", beside, " does not go with ", what,
              ": leave it out");
}

SampleLayout sample_layout(const Configuration& configuration) {
  SampleLayout layout = layout_of_axes(configuration);
  if (configuration.has("data.offsets")) {
    layout.offsets = configuration.text("data.offsets");
    layout.length = configuration.integer("data.length");
    layout.hop = configuration.integer("data.hop");
  }
  if (layout.last) refuse_with(configuration, "data.samples = \"last\"", layout);
  if (!configuration.has("data.offsets")) return layout;
  if (!layout.offsets.empty() && layout.leading != 1)
    bad_input(configuration.place("data.leading"), ": data.leading = ", layout.leading,
              " does not go with data.offsets, which counts along the first axis: leave it out");
  if (layout.length == 0 && (layout.hop > 0 || !layout.offsets.empty()))
    bad_input(configuration.place(layout.hop > 0 ? "data.hop" : "data.offsets"), ": ",
              layout.hop > 0 ? "data.hop" : "data.offsets",
              " needs data.length: set it to the positions of ",
              layout.hop > 0 ? "a window" : "a sample, to which others are padded or cut");
  if (layout.length > 0 && !layout.has_extents())
    bad_input(configuration.place("data.length"), ": data.length = ", layout.length,
              " has no effect without data.offsets, data.hop or data.samples = \"file\": set one "
              "of them, or leave it out");
  return layout;
}

}  // namespace

DataOptions data_options(const Configuration& configuration) {
  DataOptions options;
  options.files = configuration.paths("data.files");
  options.dataset = configuration.text("data.dataset");
  options.label = configuration.text("data.label");
  options.valid = configuration.text("data.valid");
  options.missing = missing_numbers(configuration);
  options.layout = sample_layout(configuration);
  options.buffer = configuration.bytes("data.buffer");
  options.lanes = configuration.integer("data.lanes");
  options.window = configuration.integer("data.window");
  if (!configuration.is("data.workers", "auto")) {
    options.workers = static_cast<int>(configuration.integer("data.workers"));
  }
  return options;
}

Dataset open_dataset(const DataOptions& options, Communicator& communicator,
                     const std::vector<FieldSpec>& columns, const std::vector<FieldSpec>& parts) {
  std::vector<FieldSpec> fields = {{sample_field, options.dataset}};
  fields.insert(fields.end(), parts.begin(), parts.end());
  if (!options.label.empty()) fields.push_back({label_field, options.label});
  if (!options.valid.empty()) fields.push_back({valid_field, options.valid});
  fields.insert(fields.end(), columns.begin(), columns.end());
  return Dataset(options.files, std::move(fields), communicator, options.layout,
                 {.by_attributes = options.by_attributes,
                  .may_miss = !options.missing.refused,
                  .each_once = options.by_attributes,
                  .warns = true});
}

MissingNumbers missing_numbers(const Configuration& configuration) {
  MissingNumbers missing{.refused = configuration.is("data.missing", "refuse")};
  if (!missing.refused && !configuration.is("data.missing", "mean"))
    missing.value = configuration.number("data.missing");
  return missing;
}

LaneLayout chosen_lanes(const Dataset& dataset, const DataOptions& options, int64_t batch) {
  return choose_lanes(batch, dataset.blocks(), dataset.largest_block_bytes(), options.buffer,
                      options.lanes, options.window);
}

OrderSpec order_spec(const Dataset& dataset, const LaneLayout& lanes, uint64_t seed,
                     std::vector<int64_t> subset) {
  OrderSpec spec;
  spec.block_samples = dataset.block_samples();
  spec.subset = std::move(subset);
  spec.lanes = lanes.lanes;
  spec.window = lanes.window;
  spec.seed = seed;
  return spec;
}

}  // namespace lacuna
