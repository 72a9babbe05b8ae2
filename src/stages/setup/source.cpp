#include "stages/setup/source.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "comm/agree.h"
#include "data/columns.h"
#include "modalities/list.h"
#include "stages/keys/schema.h"

namespace lacuna {

namespace {

DataOptions with(DataOptions options, const SourceOptions& instead) {
  if (!instead.files.empty()) options.files = instead.files;
  if (!instead.dataset.empty() && instead.dataset != options.dataset &&
      !options.layout.offsets.empty()) {
    bad_input("data.offsets = \"", options.layout.offsets, "\" is of the samples in ",
              options.dataset, ", and others are asked for in ", instead.dataset,
              ": keep samples of several lengths under the same paths, in files of their own");
  }
  if (!instead.dataset.empty()) options.dataset = instead.dataset;
  if (!instead.label.empty()) options.label = instead.label;
  return options;
}

// A vector that a checkpoint holds under this name.
template <typename T>
std::vector<T> stored(const Checkpoint& checkpoint, const std::string& name) {
  const StoredTensor* tensor = checkpoint.find(name);
  if (tensor == nullptr || tensor->dtype != dtype_of<T>) {
    bad_input(checkpoint.folder.string(), " does not hold \"", name,
              "\": it was not written by pretrain of this version");
  }
  std::vector<T> values(static_cast<size_t>(tensor->shape.count()));
  const TensorTarget target{name, tensor->dtype, tensor->shape, values.data()};
  load_tensors(checkpoint, {&target, 1}, Match::subset);
  return values;
}

// Facts of the modality, from the checkpoint or the source whose facts hold; empty: to be found.
std::function<std::vector<double>(const std::string&)> known_facts(const SourceOptions& instead,
                                                                   Communicator& communicator) {
  if (instead.as != nullptr) {
    return [as = instead.as](const std::string& name) {
      for (const Fact& fact : as->modality().facts())
        if (fact.name == name) return fact.values;
      LACUNA_CHECK(false, name);
      return std::vector<double>();
    };
  }
  if (instead.like == nullptr) return {};
  return [like = instead.like, &communicator](const std::string& name) {
    return agreed(communicator, [&] { return stored<double>(*like, "data." + name); });
  };
}

ModalityParts parts_of(const Dataset& dataset, const DataOptions& options,
                       const Configuration& configuration, const Configuration* run,
                       Communicator& communicator, const SourceOptions& instead) {
  ScanOptions scan;
  scan.seed = static_cast<uint64_t>(configuration.integer("seed"));
  scan.threads = instead.threads;
  scan.buffer = std::min<int64_t>(options.buffer, scan.buffer);
  return {.dataset = dataset,
          .configuration = configuration,
          .known = known_facts(instead, communicator),
          .run = run,
          .index_only = instead.index_only,
          .scan = scan,
          .communicator = communicator};
}

std::unique_ptr<Modality> modality_of(const Dataset& dataset, const DataOptions& options,
                                      const Configuration& configuration,
                                      Communicator& communicator, const SourceOptions& instead) {
  std::optional<Configuration> run;
  if (instead.like != nullptr) {
    run = agreed(communicator, [&] {
      return Configuration::from_text(instead.like->info.configuration, schema_of("pretrain"),
                                      instead.like->folder.string());
    });
  }
  return make_modality(
      parts_of(dataset, options, configuration, run ? &*run : nullptr, communicator, instead));
}

LaneLayout stored_lanes(const Checkpoint& checkpoint) {
  const auto order = stored<int64_t>(checkpoint, "data.lanes");
  if (order.size() != 2 || order[0] < 1 || order[0] > most_lanes || order[1] < 1) {
    bad_input(checkpoint.folder.string(),
              " holds lanes of its data that none can have: use another checkpoint");
  }
  return {.lanes = order[0], .window = order[1]};
}

void keep(StateStore& store, const std::string& name, DType dtype, const void* values, size_t count,
          const char* axes = "") {
  store.create(name, dtype, {static_cast<int64_t>(count)}, Role::buffer)
      .name_axes(axes)
      .write(values);
}

}  // namespace

Source::Source(const Configuration& configuration, Communicator& communicator, Log& log,
               const SourceOptions& instead)
    : options_(with(data_options(configuration), instead)),
      dataset_(open_dataset(options_, communicator)),
      modality_(modality_of(dataset_, options_, configuration, communicator, instead)),
      lanes_(instead.as != nullptr ? instead.as->lanes_
             : instead.like != nullptr
                 ? agreed(communicator, [&] { return stored_lanes(*instead.like); })
                 : chosen_lanes(dataset_, options_, configuration.integer("train.batch"))) {
  for (const std::string& warning : dataset_.warnings()) log.warning(warning);
  if (!instead.index_only)
    log.line(counted(dataset_.samples(), "sample"), " of ", modality_->description(), " (",
             options_.dataset, ")");
  if (labelled() && is_float(label().dtype))
    log.line("the labels in ", label().path, " are ", name_of(label().dtype),
             ": they are read as classes, and refused where they are no whole numbers");
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
  Halves halves = modality_->halves(recipe, device).value_or(Halves{.host = recipe, .device = {}});
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

DataIdentity Source::identity() const {
  DataIdentity identity;
  identity.name = "train";
  identity.dataset = options_.dataset;
  identity.samples = dataset_.samples();
  identity.hash = concat(std::hex, dataset_.fingerprint(), "-", dataset_.contents());
  for (const DataFile& file : dataset_.files()) {
    identity.files.push_back(
        {.path = file.path, .bytes = static_cast<int64_t>(file.bytes), .samples = file.samples()});
  }
  return identity;
}

void Source::require_same_data(const Checkpoint& checkpoint) const {
  const DataIdentity now = identity();
  for (const DataIdentity& then : checkpoint.info.data) {
    if (then.name == now.name && !same_data(then.hash, now.hash)) {
      bad_input("the data of ", checkpoint.folder.string(), " were ", then.samples, " samples in ",
                counted(static_cast<int64_t>(then.files.size()), "file"), " (", then.hash,
                ") and are ", now.samples, " in ", now.files.size(), " (", now.hash,
                "): restore the files, or start another run with --init-from");
    }
  }
}

void Source::keep_facts(StateStore& store) const {
  for (const Fact& fact : modality_->facts()) {
    keep(store, "data." + fact.name, DType::f64, fact.values.data(), fact.values.size(), fact.axes);
  }
  const int64_t order[2] = {lanes_.lanes, lanes_.window};
  keep(store, "data.lanes", DType::i64, order, 2);
}

}  // namespace lacuna
