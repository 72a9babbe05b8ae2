#include "stages/embed/embedded_file.h"

#include <algorithm>

#include "base/build_info.h"
#include "data/columns.h"
#include "data/files/offsets.h"
#include "io/hdf5.h"

namespace lacuna {

EmbeddedFile::EmbeddedFile(const std::filesystem::path& path, const Source& source, const Shape& z,
                           const EmbeddedWhat& what, bool replace,
                           std::optional<std::string> identity)
    : source_(source), ranges_(what.ranges), columns_(what.columns), features_(z.count()) {
  if (ranges_.empty()) ranges_.push_back({0, source.dataset().samples()});
  for (const SampleRange& range : ranges_) {
    range_first_.push_back(samples_);
    samples_ += range.end - range.first;
  }
  RepresentationsLayout layout;
  layout.samples = samples_;
  if (columns_.empty()) layout.z = z;
  if (columns_.empty() && what.stride > 0 && source.modality().padded()) {
    LACUNA_CHECK(what.ranges.empty() && z.rank() == 2, z);
    position_ = z[1];
    layout.z = {position_};
    layout.offsets = offsets_ = offsets_of(what.stride);
  }
  for (const OutputColumn& column : columns_) layout.columns.push_back(column.layout);
  for (const DataFile& file : source.dataset().files()) layout.files.push_back(file.path);
  if (source.labelled())
    layout.columns.push_back({.name = "label", .dtype = DType::i64, .row = Shape{}});
  if (source.dataset().has_extents(0))
    layout.columns.push_back({.name = "at", .dtype = DType::i64, .row = Shape{2}});
  LACUNA_CHECK(what.copied.empty() || what.ranges.empty());
  if (!what.copied.empty() || !what.class_names.empty()) {
    layout.add_texts = [this, &what](hdf5::Group& root) {
      for (const std::string& column : what.copied) copy_column(root, column);
      if (!what.class_names.empty()) root.create_texts("class_name", what.class_names);
    };
  }
  const BuildInfo build = build_info();
  const DataIdentity data = source.identity();
  writer_ = std::make_unique<RepresentationsWriter>(
      path, layout,
      RepresentationsOrigin{.run = what.run,
                            .step = what.step,
                            .checkpoint = what.checkpoint,
                            .weights = what.weights,
                            .layer = what.layer,
                            .task = what.task,
                            .dataset = data.dataset,
                            .data_hash = data.hash,
                            .code_version = concat(build.version, " ", build.commit),
                            .configuration = what.configuration},
      replace, std::move(identity));
}

// From the lengths of the samples alone.
std::vector<int64_t> EmbeddedFile::offsets_of(int64_t stride) const {
  const Dataset& dataset = source_.dataset();
  std::vector<int64_t> offsets = {0};
  offsets.reserve(static_cast<size_t>(dataset.samples()) + 1);
  for (const DataFile& file : dataset.files()) {
    std::vector<int64_t> begins;
    if (!file.places.known())
      begins = hdf5::File::open(file.path).dataset(dataset.layout().offsets).values<int64_t>();
    check_offsets(
        begins, 0,
        {dataset.layout().offsets, file.path, dataset.fields()[0].path, file.fields[0].shape[0]});
    for (int64_t i = 0; i < file.samples(); ++i) {
      const auto at = static_cast<size_t>(i);
      const int64_t length =
          begins.empty() ? file.places.rows_of(i).count : begins[at + 1] - begins[at];
      const int64_t seen = std::min(length, dataset.layout().length);
      offsets.push_back(offsets.back() + (seen + stride - 1) / stride);
    }
  }
  return offsets;
}

int64_t EmbeddedFile::place_of(int64_t sample) const {
  const auto behind =
      std::upper_bound(ranges_.begin(), ranges_.end(), sample,
                       [](int64_t value, const SampleRange& range) { return value < range.first; });
  const auto range = static_cast<size_t>(behind - ranges_.begin() - 1);
  return range_first_[range] + sample - ranges_[range].first;
}

void EmbeddedFile::write(const EmbeddedBatch& batch) {
  const auto count = static_cast<int64_t>(batch.samples.size());
  std::vector<int64_t> place, row;
  std::vector<int32_t> file;
  for (const int64_t sample : batch.samples) {
    const DataFile& in = source_.dataset().file_of(sample);
    place.push_back(place_of(sample));
    file.push_back(static_cast<int32_t>(&in - source_.dataset().files().data()));
    row.push_back(sample - in.first);
  }
  // Ranks' samples lie apart, each rank's together.
  for (int64_t first = 0, last = 0; first < count; first = last) {
    const auto from = static_cast<size_t>(first);
    do ++last;
    while (last < count && place[static_cast<size_t>(last)] == place[from] + last - first);
    const auto write = [&](const char* column, const auto* values) {
      writer_->write(column, place[from], last - first, values);
    };
    write_output(place[from], last - first, batch.z.data() + first * features_);
    write("file", file.data() + first);
    write("row", row.data() + first);
    if (source_.labelled()) write("label", batch.labels.data() + first);
    if (!batch.at.empty()) write("at", batch.at.data() + first);
  }
}

void EmbeddedFile::write_output(int64_t place, int64_t rows, const float* z) {
  if (!offsets_.empty()) {
    std::vector<float> positions;
    for (int64_t i = 0; i < rows; ++i) {
      const auto at = static_cast<size_t>(place + i);
      const float* from = z + i * features_;
      positions.insert(positions.end(), from, from + (offsets_[at + 1] - offsets_[at]) * position_);
    }
    writer_->write("z", place, rows, positions.data());
    return;
  }
  if (columns_.empty()) {
    writer_->write("z", place, rows, z);
    return;
  }
  HostTensor copy(DType::f32, {rows, features_});
  std::copy(z, z + rows * features_, copy.as<float>().begin());
  for (const OutputColumn& column : columns_)
    writer_->write(column.layout.name, place, rows, column.values(copy).data());
}

// A column of the user's own, of any type: of each sample its row, beside the representations.
void EmbeddedFile::copy_column(hdf5::Group& root, const std::string& name) const {
  const Dataset& dataset = source_.dataset();
  hdf5::Dataset copy;
  for (const DataFile& file : dataset.files()) {
    const hdf5::File from = hdf5::File::open(file.path);
    const hdf5::Dataset values = from.dataset(name);
    if (!Column::fits(dataset, file, values)) {
      bad_input(file.path, ": ", name,
                values.shape().rank() == 0 ? std::string(" is a single value")
                                           : concat(" has ", values.rows(), " rows"),
                ", but there are ", file.samples(),
                " samples: name in embed.copy only columns with a row for each sample");
    }
    const Column column(dataset, file, values);
    const Shape shape = column.row().behind(samples_);
    if (copy.id() < 0) copy = root.create_like("copied/" + name, values, shape);
    if (copy.shape() != shape) {
      bad_input(file.path, ": ", name, " has ", column.row(),
                " for each sample, and in the first file it has ", copy.shape().from(1),
                ": name in embed.copy only columns that are alike in all files");
    }
    copy.copy_rows(values, column.rows(), file.first);
  }
}

}  // namespace lacuna
