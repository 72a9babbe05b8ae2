#include "modalities/vector.h"

#include <algorithm>
#include <cmath>

#include "base/random_subset.h"
#include "base/text.h"
#include "comm/agree.h"
#include "data/columns.h"
#include "data/files/stored_rows.h"
#include "data/options.h"
#include "modalities/counted.h"

namespace lacuna {

namespace {

Channels every_feature(const Shape&) { return Channels::last; }
Channels any_feature(const ChannelHints&) { return Channels::last; }

constexpr ArrayKind vector_kind = {.plural = "vectors",
                                   .axes = "one axis of features",
                                   .rank = 1,
                                   .earlier_channels = every_feature,
                                   .usual_channels = any_feature,
                                   .usual_range = ArrayOptions::RangeFrom::none,
                                   .channel = "feature"};

constexpr int64_t most_rows = 256, most_values = 1 << 20;  // of the marginals

// As many samples as a table of marginals has, chosen by the seed, in ascending order.
std::set<int64_t> chosen_samples(const Dataset& dataset, int64_t features, uint64_t seed) {
  const int64_t count =
      std::min(dataset.samples(),
               std::clamp<int64_t>(most_values / std::max<int64_t>(features, 1), 1, most_rows));
  const Draws draws(seed, Purpose::statistics_sample, hash_name("marginals"));
  return random_subset(draws, dataset.samples(), count);
}

// Collective: rank 0 reads. Values are interpreted, so in the units of the statistics.
std::vector<double> find_marginals(const ModalityParts& parts, const ArrayValues& values) {
  const Dataset& dataset = parts.dataset;
  const Field& field = dataset.fields()[0];
  const int64_t features = values.shape()[0];
  const std::set<int64_t> chosen = chosen_samples(dataset, features, parts.scan.seed);
  const size_t count = chosen.size() * static_cast<size_t>(features);
  if (parts.index_only) return std::vector<double>(count);
  return read_on_rank_0<double>(parts.communicator, [&] {
    std::vector<double> all(count);
    std::vector<std::byte> stored(static_cast<size_t>(field.row_bytes()));
    std::vector<double> row(static_cast<size_t>(features));
    hdf5::File file;
    const DataFile* open = nullptr;
    auto to = all.begin();
    for (const int64_t sample : chosen) {
      const DataFile& in = dataset.file_of(sample);
      if (&in != open) file = hdf5::File::open(in.path);
      open = &in;
      read_sample_row(file, dataset, in, dataset.rows_of(in, 0, sample - in.first).first,
                      stored.data());
      values.interpretation().doubles(stored.data(), row.data());
      for (size_t d = 0; d < row.size(); ++d)
        *to++ = std::isnan(row[d]) ? values.mean()[d] : row[d];
    }
    return all;
  });
}

// Of the features as ArrayValues::centred() delivers them.
FeatureFacts features_of(const ArrayValues& values, std::vector<double> marginals) {
  const std::vector<double> centre = values.centre();
  for (size_t i = 0; i < marginals.size(); ++i) marginals[i] -= centre[i % centre.size()];
  return {values.mean_of_centred(), values.std_as_float(), {marginals.begin(), marginals.end()}};
}

}  // namespace

std::vector<Key> vector_keys() { return vector_augment_keys(); }

std::unique_ptr<Modality> make_vector(const ModalityParts& parts) {
  ArrayValues values(parts, vector_kind);
  std::vector<double> marginals =
      parts.known ? parts.known("marginals") : find_marginals(parts, values);
  return agreed(parts.communicator, [&] {
    const int64_t features = values.shape()[0];
    if (marginals.empty() || static_cast<int64_t>(marginals.size()) % features != 0)
      bad_input("what was found in the data before is of other samples than these of ", features,
                " features: use data like that of the run");
    return std::make_unique<VectorModality>(std::move(values), std::move(marginals),
                                            vector_augment_options(parts.configuration));
  });
}

VectorModality::VectorModality(ArrayValues values, std::vector<double> marginals,
                               const VectorOptions& augment)
    : values_(std::move(values)),
      marginals_(std::move(marginals)),
      augment_(augment),
      centred_(values_.centred()),
      features_(features_of(values_, marginals_)) {}

std::string VectorModality::description() const {
  return concat(counted(sample()[0], "feature"), ", ", values_.numbers_text());
}

Facts VectorModality::facts() const {
  Facts all = values_.facts();
  all.push_back({"marginals", marginals_, "sample by feature"});
  return all;
}

RecipePointer VectorModality::recipe(std::unique_ptr<Augmentation> augmentation) const {
  return array_recipe(centred_, std::move(augmentation));
}

RecipePointer VectorModality::plain() const { return recipe(plain_vector(sample(), features_)); }

RecipePointer VectorModality::views(int count) const {
  return recipe(vector_views(sample(), count, augment_, features_));
}

RecipePointer VectorModality::masked() const {
  const RecipePointer masked = recipe(masked_vector(sample(), augment_, features_));
  if (!centred_.replaces()) return masked;
  const auto features = static_cast<size_t>(sample()[0]);
  const FeatureFacts none{std::vector<float>(features, 0), std::vector<float>(features, 1), {}};
  return with_counted(masked, array_recipe(centred_.presence(), plain_vector(sample(), none)));
}

double VectorModality::masked_share() const { return exact_share(augment_.mask, sample()[0]); }

}  // namespace lacuna
