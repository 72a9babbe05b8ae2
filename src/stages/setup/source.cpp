#include "stages/setup/source.h"

#include <algorithm>
#include <cmath>

#include "comm/agree.h"
#include "io/hdf5.h"

namespace lacuna {

namespace {

DataOptions with(DataOptions options, const SourceOptions& instead) {
  if (!instead.files.empty()) options.files = instead.files;
  if (!instead.dataset.empty()) options.dataset = instead.dataset;
  if (!instead.label.empty()) options.label = instead.label;
  return options;
}

// bad_input unless samples are read as images, which is all that can be read. `asks`: whether what
// may as well be signals must be called images first.
void require_images(const Dataset& dataset, const DataOptions& options, bool asks) {
  constexpr int64_t most_channels = 4;  // of what would be taken for a signal
  const Field& field = dataset.fields()[static_cast<size_t>(dataset.field(sample_field))];
  const Shape& shape = field.shape;
  if (asks && shape.rank() == 2 && !options.channels &&
      std::min(shape[0], shape[1]) <= most_channels) {
    bad_input("samples of ", field.path, " have the shape ", shape, ", which may be signals of ",
              counted(std::min(shape[0], shape[1]), "channel"),
              " or images without an axis of channels: set data.kind to \"image\" if they are "
              "images; signals cannot be read");
  }
  const Range any{0, 1};
  const Shape read = interpretation_of(dataset, options, any).shape();
  if (read.rank() != 3) {
    bad_input("samples of ", field.path, " have the shape ", shape,
              ", and images have a height, a width and perhaps channels: name images in "
              "data.dataset, or say in data.channels which axis is the channels'");
  }
}

Dataset open_images(const DataOptions& options, const Configuration& configuration,
                    const SourceOptions& instead, Communicator& communicator) {
  Dataset dataset = open_dataset(options, communicator);
  // A run that was begun goes on, and is used, as it was.
  const bool is_new = instead.like == nullptr && instead.as == nullptr;
  agreed(communicator,
         [&] { require_images(dataset, options, is_new && !configuration.is_set("data.kind")); });
  return dataset;
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

DataFacts stored_facts(const Checkpoint& checkpoint) {
  const auto range = stored<double>(checkpoint, "data.range");
  const auto order = stored<int64_t>(checkpoint, "data.lanes");
  if (range.size() != 2 || !(range[0] < range[1] && std::isfinite(range[1] - range[0])) ||
      order.size() != 2 || order[0] < 1 || order[0] > most_lanes || order[1] < 1) {
    bad_input(checkpoint.folder.string(),
              " holds a range or lanes of its data that none can have: use another checkpoint");
  }
  return {.range = {range[0], range[1]},
          .mean = stored<double>(checkpoint, "data.mean"),
          .std = stored<double>(checkpoint, "data.std"),
          .lanes = order[0],
          .window = order[1]};
}

DataFacts facts_for(const Dataset& dataset, const DataOptions& options,
                    const Configuration& configuration, Communicator& communicator,
                    const SourceOptions& instead) {
  if (instead.as != nullptr) return instead.as->facts();
  if (instead.like != nullptr) {
    return agreed(communicator, [&] { return stored_facts(*instead.like); });
  }
  const int64_t batch = configuration.integer("train.batch");
  if (instead.planned) return planned_facts(dataset, options, batch);
  return find_facts(dataset, options, batch, static_cast<uint64_t>(configuration.integer("seed")),
                    instead.threads, communicator);
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
      dataset_(open_images(options_, configuration, instead, communicator)),
      facts_(facts_for(dataset_, options_, configuration, communicator, instead)),
      interpretation_(agreed(communicator,
                             [&] { return interpretation_of(dataset_, options_, facts_.range); })) {
  for (const std::string& warning : dataset_.warnings()) log.warning(warning);
  if (labelled() && is_float(label().dtype))
    log.line("the labels in ", label().path, " are ", name_of(label().dtype),
             ": they are read as classes, and refused where they are no whole numbers");
  views_.sample = interpretation_.shape();
  views_.augment = augment_options(configuration);
  if (interpretation_.keeps_order()) {
    views_.stored = {.dtype = interpretation_.stored(),
                     .low = interpretation_.low(),
                     .high = interpretation_.high()};
  }
  views_.normalisation.mean.assign(facts_.mean.begin(), facts_.mean.end());
  views_.normalisation.std.assign(facts_.std.begin(), facts_.std.end());
  agreed(communicator, [&] {
    if (static_cast<int64_t>(facts_.mean.size()) != interpretation_.channels()) {
      bad_input("samples of ", options_.dataset, " have ", interpretation_.channels(),
                " channels, but the statistics are of ", facts_.mean.size(),
                ": use data like that of the run, or give data.mean and data.std for each channel");
    }
  });
}

Channels Source::channels() const {
  const Field& field = dataset_.fields()[static_cast<size_t>(dataset_.field(sample_field))];
  return options_.channels.value_or(usual_channels(field.shape));
}

const Field& Source::label() const {
  return dataset_.fields()[static_cast<size_t>(dataset_.field(label_field))];
}

std::vector<int64_t> Source::labels(Communicator& communicator) const {
  std::vector<int64_t> all(static_cast<size_t>(dataset_.samples()));
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    const bool floats = is_float(label().dtype);
    std::vector<double> values(floats ? all.size() : 0);
    for (const DataFile& file : dataset_.files()) {
      const hdf5::File opened = hdf5::File::open(file.path);
      const hdf5::Dataset stored = opened.dataset(options_.label);
      if (floats)
        stored.read_rows(0, file.rows, values.data() + file.first, DType::f64);
      else
        stored.read_rows(0, file.rows, all.data() + file.first, DType::i64);
    }
    for (size_t i = 0; i < values.size(); ++i)
      all[i] = class_of(values[i], static_cast<int64_t>(i), label().path);
  });
  communicator.broadcast(all.data(), all.size() * sizeof(int64_t), 0).wait();
  return all;
}

void Source::check_labels(Communicator& communicator) const {
  if (is_float(label().dtype)) labels(communicator);
}

std::shared_ptr<const RowMaker> Source::rows(std::shared_ptr<const Recipe> recipe) const {
  return std::make_shared<RecipeRows>(dataset_, sample_field, interpretation_, std::move(recipe));
}

std::shared_ptr<const RowMaker> Source::drawn_rows(std::shared_ptr<const Recipe> recipe) const {
  return std::make_shared<DrawnRows>(dataset_, sample_field, interpretation_, std::move(recipe));
}

std::shared_ptr<const RowMaker> Source::plain_rows() const {
  return rows(plain_view(views_.sample, views_.augment.size, views_.normalisation));
}

OrderSpec Source::order(uint64_t seed, std::vector<int64_t> subset) const {
  return order_spec(dataset_, facts_, seed, std::move(subset));
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
        {.path = file.path, .bytes = static_cast<int64_t>(file.bytes), .samples = file.rows});
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
  const double range[2] = {facts_.range.low, facts_.range.high};
  const int64_t order[2] = {facts_.lanes, facts_.window};
  keep(store, "data.range", DType::f64, range, 2);
  keep(store, "data.mean", DType::f64, facts_.mean.data(), facts_.mean.size(), "channel");
  keep(store, "data.std", DType::f64, facts_.std.data(), facts_.std.size(), "channel");
  keep(store, "data.lanes", DType::i64, order, 2);
}

}  // namespace lacuna
