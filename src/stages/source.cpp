#include "stages/source.h"

#include "data/loader.h"

namespace lacuna {

std::vector<Key> source_keys() {
  return {
      key::paths("data.files", required, "HDF5 files, or patterns of them."),
      key::text("data.dataset", required, "Path of the samples in the files."),
      key::text("data.label", "", "Path of the labels in the files, if there are any."),
      key::bytes("data.buffer", "1 GiB", "Memory of the loader.").min(1 << 20).execution(),
      key::integer("data.lanes", "0", "Lanes; 0: as many as fit.").min(0),
      key::integer("data.workers", "0", "Loader threads.").min(0).execution(),
  };
}

Source::Source(const Configuration& c, Communicator& communicator, Log& log, const SourceOptions& o)
    : path_(o.dataset.empty() ? c.text("data.dataset") : o.dataset),
      buffer_(c.bytes("data.buffer")),
      lanes_(c.integer("data.lanes")),
      workers_(static_cast<int>(c.integer("data.workers"))) {
  std::vector<FieldSpec> fields = {{"image", path_}};
  const std::string label = o.label.empty() ? c.text("data.label") : o.label;
  if (!label.empty()) fields.push_back({"label", label});
  dataset_ = std::make_unique<Dataset>(o.files.empty() ? c.paths("data.files") : o.files, fields, communicator);
  for (const std::string& warning : dataset_->warnings()) log.warning(warning);
  const Field& field = dataset_->fields()[static_cast<size_t>(dataset_->field("image"))];
  interpretation_ = std::make_unique<Interpretation>(field, usual_channels(field.shape), 0, 255);
  views_.sample = interpretation_->shape();
  views_.augment = augment_options(c);
  views_.normalisation.mean.assign(static_cast<size_t>(interpretation_->channels()), 0.286f);
  views_.normalisation.std.assign(static_cast<size_t>(interpretation_->channels()), 0.353f);
}

std::shared_ptr<const RowMaker> Source::rows(std::shared_ptr<const Recipe> recipe) const {
  return std::make_shared<RecipeRows>(*dataset_, "image", *interpretation_, std::move(recipe));
}

std::shared_ptr<const RowMaker> Source::plain_rows() const {
  return rows(plain_view(views_.sample, views_.augment.size, views_.normalisation));
}

OrderSpec Source::order(int64_t batch, uint64_t seed, std::vector<int64_t> subset) const {
  const LanePlan plan = plan_lanes(batch, dataset_->blocks(), dataset_->largest_block_bytes(), buffer_, lanes_);
  return {.block_samples = dataset_->block_samples(), .subset = std::move(subset), .lanes = plan.lanes,
          .window = plan.window, .seed = seed};
}

DataIdentity Source::identity() const {
  DataIdentity identity{.name = "train", .dataset = path_, .files = {}, .samples = dataset_->samples(),
                        .hash = concat(std::hex, dataset_->fingerprint())};
  for (const DataFile& file : dataset_->files()) {
    identity.files.push_back({.path = file.path, .bytes = static_cast<int64_t>(file.bytes), .samples = file.rows});
  }
  return identity;
}

}  // namespace lacuna
