#include "stages/setup/source.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "comm/agree.h"
#include "data/columns.h"
#include "stages/keys/parts.h"
#include "stages/keys/schema.h"
#include "stages/setup/part.h"

namespace lacuna {

namespace {

// What a run that began with these data keeps of how their numbers are read.
void keep_reading(const Configuration& configuration, const Configuration* run,
                  const SourceOptions& instead, DataOptions& options) {
  if (instead.like != nullptr)
    options.by_attributes = instead.like->find("data.channels") != nullptr;
  if (instead.as != nullptr) options.by_attributes = instead.as->options().by_attributes;
  if (run != nullptr && !configuration.is_set("data.missing"))
    options.missing = missing_numbers(*run);
}

DataOptions with(DataOptions options, const SourceOptions& instead) {
  if (!instead.files.empty()) options.files = instead.files;
  if (!instead.dataset.empty() && instead.dataset != options.dataset &&
      !options.layout.offsets.empty()) {
    bad_input("data.offsets = \"", options.layout.offsets, "\" is of the samples in ",
              options.dataset, ", and others are asked for in ", instead.dataset,
              ": keep samples of several lengths under the same paths, in files of their own");
  }
  if (!instead.dataset.empty() && instead.dataset != options.dataset && !options.valid.empty())
    bad_input(
        "data.valid = \"", options.valid, "\" is of the samples in ", options.dataset,
        ", and others are asked for in ", instead.dataset,
        ": keep samples with a column of validity under the same paths, in files of their own");
  if (!instead.dataset.empty()) options.dataset = instead.dataset;
  if (!instead.label.empty()) options.label = instead.label;
  return options;
}

std::optional<Configuration> configuration_of_run(Communicator& communicator,
                                                  const SourceOptions& instead) {
  if (instead.like == nullptr) return std::nullopt;
  return agreed(communicator, [&] {
    return Configuration::from_text(instead.like->info.configuration, schema_of("pretrain"),
                                    instead.like->folder.string());
  });
}

DataOptions options_of(const Configuration& configuration, const std::optional<Configuration>& run,
                       const SourceOptions& instead) {
  DataOptions options =
      with(data_options(configuration_of_part(configuration, instead.part)), instead);
  keep_reading(configuration, run ? &*run : nullptr, instead, options);
  return options;
}

PartOptions part_options(const SourceOptions& instead, const std::optional<Configuration>& run,
                         const DataOptions& options, const std::string& part) {
  return {.part = part,
          .like = instead.like,
          .run = run ? &*run : nullptr,
          .as = instead.as == nullptr ? nullptr : instead.as->parts().at(part),
          .missing = options.missing,
          .buffer = options.buffer,
          .threads = instead.threads,
          .index_only = instead.index_only};
}

LaneLayout stored_lanes(const Checkpoint& checkpoint) {
  const auto order = stored_values<int64_t>(checkpoint, "data.lanes");
  if (order.size() != 2 || order[0] < 1 || order[0] > most_lanes || order[1] < 1) {
    bad_input(checkpoint.folder.string(),
              " holds lanes of its data that none can have: use another checkpoint");
  }
  return {.lanes = order[0], .window = order[1]};
}

void tell_of(const Modality& modality, Log& log) {
  for (const std::string& note : modality.notes()) log.line(note);
  for (const std::string& warning : modality.warnings()) log.warning(warning);
}

void keep(StateStore& store, const std::string& name, DType dtype, const void* values, size_t count,
          const char* axes = "") {
  store.create(name, dtype, {static_cast<int64_t>(count)}, Role::buffer)
      .name_axes(axes)
      .write(values);
}

// Beside the first part numbers are read as they are stored, a row after the other.
void require_plain_numbers(const Dataset& part, const std::string& name) {
  for (const DataFile& file : part.files()) {
    const FieldStorage& storage = file.fields[0];
    const bool plain = !part.decodes(file) && !storage.complex && storage.members.empty();
    if (plain && !storage.last) continue;
    bad_input("[part.", name, "]: ", part.fields()[0].path, " in ", file.path,
              plain ? " has its samples along the last axis"
                    : " has numbers that do not stand there as they are meant (attributes such as "
                      "_FillValue or scale_factor, complex numbers, a pattern)",
              ", which only the first part of samples may have: write plain numbers, or make this "
              "part the first");
  }
}

}  // namespace

std::vector<Source::Further> Source::further_parts(const Configuration& configuration,
                                                   Communicator& communicator,
                                                   const SourceOptions& instead) const {
  std::vector<Further> all;
  if (!instead.all_parts) return all;
  for (const std::string& name : parts_of(configuration)) {
    if (options_.layout.has_extents())
      bad_input("objective.name = \"", configuration.text("objective.name"),
                "\" compares parts of samples that are rows, and data.",
                options_.layout.has_windows() ? "hop" : "length",
                " makes samples of several: choose another objective, or write each sample as a "
                "row");
    Further& part = all.emplace_back();
    part.name = name;
    part.options = data_options(configuration_of_part(configuration, name));
    part.options.files = options_.files;
    part.options.label = "";
    part.options.valid = "";
    part.options.by_attributes = options_.by_attributes;
    part.options.missing = {};  // beside the first part none may be missing
    part.dataset = std::make_unique<Dataset>(open_dataset(part.options, communicator));
    require_plain_numbers(*part.dataset, name);
    part.modality = make_part(configuration, *part.dataset,
                              part_options(instead, run_, part.options, name), communicator);
  }
  return all;
}

std::vector<FieldSpec> Source::fields_of(const std::vector<Further>& parts) {
  std::vector<FieldSpec> fields;
  for (const Further& part : parts) fields.push_back({part.name, part.options.dataset});
  return fields;
}

Source::Source(const Configuration& configuration, Communicator& communicator, Log& log,
               const SourceOptions& instead)
    : part_(instead.part),
      run_(configuration_of_run(communicator, instead)),
      options_(options_of(configuration, run_, instead)),
      further_(further_parts(configuration, communicator, instead)),
      dataset_(open_dataset(options_, communicator, {}, fields_of(further_))),
      modality_(make_part(configuration, dataset_,
                          part_options(instead, run_, options_, instead.part), communicator)),
      lanes_(instead.as != nullptr ? instead.as->lanes_
             : instead.like != nullptr
                 ? agreed(communicator, [&] { return stored_lanes(*instead.like); })
                 : chosen_lanes(dataset_, options_, configuration.integer("train.batch"))) {
  for (const std::string& warning : dataset_.warnings()) log.warning(warning);
  tell_reading(log);
  if (labelled() && is_float(label().dtype))
    log.line("the labels in ", label().path, " are ", name_of(label().dtype),
             ": they are read as classes, and refused where they are no whole numbers");
}

void Source::tell_reading(Log& log) const {
  log.line(counted(dataset_.samples(), "sample"), " of ", modality_->description(), " (",
           options_.dataset, ")");
  tell_of(*modality_, log);
  for (const Further& part : further_) {
    log.line("their part \"", part.name, "\": ", part.modality->description(), " (",
             part.options.dataset, ")");
    tell_of(*part.modality, log);
  }
}

PartModalities Source::parts() const {
  PartModalities all = {{part_, modality_.get()}};
  for (const Further& part : further_) all[part.name] = part.modality.get();
  return all;
}

const Field& Source::label() const {
  return dataset_.fields()[static_cast<size_t>(dataset_.field(label_field))];
}

std::vector<int64_t> Source::labels(Communicator& communicator) const {
  return read_on_rank_0<int64_t>(communicator, [&] {
    label_of(dataset_);  // one number for each sample
    std::vector<int64_t> all;
    all.reserve(static_cast<size_t>(dataset_.samples()));
    for_each_column(dataset_, label().path, [&](const Column& column) {
      if (!is_float(label().dtype)) {
        for (const int64_t value : column.numbers<int64_t>()) all.push_back(value);
        return;
      }
      for (const double value : column.numbers<double>())
        all.push_back(class_of(value, static_cast<int64_t>(all.size()), label().path));
    });
    return all;
  });
}

void Source::check_labels(Communicator& communicator) const {
  if (is_float(label().dtype)) labels(communicator);
}

Halves Source::loaded(const RecipePointer& recipe, const Device& device) const {
  Halves halves = halves_of(parts(), recipe, device);
  halves.host = with_label(dataset_, halves.host);
  return halves;
}

RecipePointer Source::plain() const { return with_label(dataset_, modality_->plain()); }

OrderSpec Source::order(uint64_t seed, std::vector<int64_t> subset) const {
  return order_spec(dataset_, lanes_, seed, std::move(subset));
}

LoaderOptions Source::loading(const Communicator& communicator, int threads) const {
  return {.rank = communicator.rank(),
          .ranks = communicator.size(),
          .buffer = options_.buffer,
          .workers = std::max(options_.workers, 0),
          .threads = threads};
}

namespace {

DataIdentity identity_of(const Dataset& dataset, const std::string& name, const std::string& path) {
  DataIdentity identity;
  identity.name = name;
  identity.dataset = path;
  identity.samples = dataset.samples();
  identity.sample = {dataset.fields()[0].dtype, dataset.fields()[0].shape};
  identity.hash = concat(std::hex, dataset.fingerprint(), "-", dataset.contents());
  for (const DataFile& file : dataset.files()) {
    identity.files.push_back(
        {.path = file.path, .bytes = static_cast<int64_t>(file.bytes), .samples = file.samples()});
  }
  return identity;
}

}  // namespace

DataIdentity Source::identity() const {
  return identity_of(dataset_, part_.empty() ? "train" : part_, options_.dataset);
}

std::vector<DataIdentity> Source::identities() const {
  std::vector<DataIdentity> all = {identity()};
  for (const Further& part : further_)
    all.push_back(identity_of(*part.dataset, part.name, part.options.dataset));
  return all;
}

void Source::require_same_data(const Checkpoint& checkpoint) const {
  const std::vector<DataIdentity> all = identities();
  for (const DataIdentity& then : checkpoint.info.data) {
    for (const DataIdentity& now : all) {
      if (then.name != now.name || same_data(then.hash, now.hash)) continue;
      bad_input("the data of ", checkpoint.folder.string(), " were ", then.samples, " samples in ",
                counted(static_cast<int64_t>(then.files.size()), "file"), " (", then.hash,
                ") and are ", now.samples, " in ", now.files.size(), " (", now.hash,
                "): restore the files, or start another run with --init-from");
    }
  }
}

void Source::keep_facts(StateStore& store) const {
  for (const auto& [part, modality] : parts()) {
    for (const Fact& fact : modality->facts()) {
      keep(store, fact_prefix(part) + fact.name, DType::f64, fact.values.data(), fact.values.size(),
           fact.axes);
    }
  }
  const int64_t order[2] = {lanes_.lanes, lanes_.window};
  keep(store, "data.lanes", DType::i64, order, 2);
}

}  // namespace lacuna
