#include "run/representations.h"

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "base/error.h"
#include "io/durable_file.h"
#include "io/hdf5_image.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr int64_t format_version = 1, version_of_dense = 2;
constexpr const char* format = "lacuna representations";
constexpr const char* format_of_predictions = "lacuna predictions";

std::vector<RepresentationsLayout::Column> all_columns(const RepresentationsLayout& layout) {
  std::vector<RepresentationsLayout::Column> columns{{"file", DType::i32, {}},
                                                     {"row", DType::i64, {}}};
  if (layout.z.rank() > 0) columns.insert(columns.begin(), {"z", DType::f32, layout.z});
  columns.insert(columns.end(), layout.columns.begin(), layout.columns.end());
  return columns;
}

void write_origin(hdf5::Group& root, const RepresentationsOrigin& origin, bool dense) {
  root.set("format", origin.task.empty() ? format : format_of_predictions);
  root.set("format_version", dense ? version_of_dense : format_version);
  root.set("run", origin.run);
  root.set("step", origin.step);
  root.set("checkpoint", origin.checkpoint);
  if (!origin.weights.empty()) root.set("weights", origin.weights);
  if (!origin.layer.empty()) root.set("layer", origin.layer);
  if (!origin.task.empty()) root.set("task", origin.task);
  root.set("dataset", origin.dataset);
  root.set("data_hash", origin.data_hash);
  root.set("code_version", origin.code_version);
  root.create_texts("/configuration", std::array{origin.configuration});
}

RepresentationsOrigin read_origin(const hdf5::Group& root) {
  return {.run = root.text("run"),
          .step = root.integer("step"),
          .checkpoint = root.has_attribute("checkpoint") ? root.text("checkpoint") : "",
          .weights = root.text("weights"),
          .layer = root.text("layer"),
          .dataset = root.text("dataset"),
          .data_hash = root.text("data_hash"),
          .code_version = root.text("code_version"),
          .configuration = root.dataset("/configuration").only_text()};
}

void describe(hdf5::Dataset& dataset, const RepresentationsLayout::Column& column, bool ragged) {
  const std::string& name = column.name;
  const auto with = [&](const std::string& axes, const std::string& what) {
    dataset.set("axes", axes);
    dataset.set("description", what);
  };
  if (name == "z" && ragged) {
    with("position, feature", "representation of each position of each sample: /offsets");
    dataset.set("units", "1");
  } else if (name == "z") {
    constexpr std::array axes = {"sample, feature", "sample, position, feature",
                                 "sample, row, column, feature",
                                 "sample, plane, row, column, feature"};
    const bool dense = column.row.rank() > 1;
    with(
        axes.at(static_cast<size_t>(column.row.rank() - 1)),
        dense ? "representation of each position of each sample" : "representation of each sample");
    dataset.set("units", "1");
  }
  if (name == "file") with("sample", "index into /files of the file that holds the sample");
  if (name == "row") with("sample", "number of the sample in its file, from 0");
  if (name == "label") with("sample", "label of the sample");
  if (name == "at") {
    with("sample, (first, count)",
         "rows of the file's samples that the sample is, counted through from series to series");
  }
  if (!column.axes.empty()) with(column.axes, column.description);
}

constexpr const char* partial_suffix = ".partial";
constexpr const char* progress_title = "how far the file of the same name has come; identity ";

fs::path progress_file(const fs::path& path) { return path.string() + ".progress"; }

std::string progress_file_text(const std::string& identity, const std::string& progress) {
  return concat(progress_title, identity, "\n", progress, "\ncrc32 ",
                crc32_of(progress.data(), progress.size()), "\n");
}

std::optional<std::string> second_line(const std::string& text) {
  const size_t title = text.find('\n'), line = text.find('\n', title + 1);
  if (title == std::string::npos || line == std::string::npos) return std::nullopt;
  return text.substr(title + 1, line - title - 1);
}

// What a process before has left; removes its progress where the file is to begin anew.
RepresentationsWriter::Leftover find_leftover(const fs::path& path, const std::string& identity,
                                              uint64_t file_bytes) {
  const fs::path partial = path.string() + partial_suffix, saved = progress_file(path);
  std::error_code ignored;
  if (!fs::exists(saved, ignored) || !fs::exists(partial, ignored)) {
    fs::remove(saved, ignored);
    return {};
  }
  const std::string text = read_text(saved);
  const std::optional<std::string> progress = second_line(text);
  if (progress && fs::file_size(partial, ignored) == file_bytes &&
      text == progress_file_text(identity, *progress)) {
    return {.progress = progress, .discarded = false};
  }
  fs::remove(saved, ignored);
  return {.progress = std::nullopt, .discarded = true};
}

[[noreturn]] void refuse_existing(const fs::path& path) {
  bad_input(path.string(),
            " exists: give another name with --out, or --force to move the old one aside");
}

// Where a column's rows lie in the file.
struct Target {
  uint64_t offset = 0;
  uint64_t row_bytes = 0;
  int64_t missing = 0;           // samples not yet written
  std::vector<int64_t> offsets;  // [samples + 1], where a sample is not one row

  // Where sample i begins, and the bytes of so many from it on.
  uint64_t place_of(int64_t i) const {
    const int64_t row = offsets.empty() ? i : offsets[static_cast<size_t>(i)];
    return offset + static_cast<uint64_t>(row) * row_bytes;
  }
  uint64_t bytes_of(int64_t first, int64_t count) const {
    return place_of(first + count) - place_of(first);
  }
};
using Targets = std::map<std::string, Target>;

// Whether a file has what was laid out, in all bytes that are not of a column of so many rows.
bool is_laid_out(const fs::path& path, const hdf5::NewImage::Content& content,
                 const Targets& columns, int64_t rows) {
  if (!fs::is_regular_file(path)) return false;
  const ReadableFile file(path);
  if (file.size() != content.file_bytes) return false;
  std::vector<std::byte> expected = content.bytes, front(content.bytes.size());
  file.read(0, front.data(), front.size());
  for (const auto& [name, column] : columns) {
    const uint64_t bytes = column.bytes_of(0, rows);
    const uint64_t first = std::min<uint64_t>(column.offset, front.size());
    const uint64_t last = std::min<uint64_t>(column.offset + bytes, front.size());
    for (std::vector<std::byte>* each : {&expected, &front})
      std::fill(each->begin() + static_cast<std::ptrdiff_t>(first),
                each->begin() + static_cast<std::ptrdiff_t>(last), std::byte{0});
  }
  return front == expected;
}

}  // namespace

struct RepresentationsWriter::Construction {
  fs::path path;
  bool replace;
  int64_t samples;
  Targets targets;
  std::optional<std::string> identity;
  Leftover leftover;
  std::unique_ptr<DurableFile> file;
};

RepresentationsWriter::RepresentationsWriter(fs::path path, const RepresentationsLayout& layout,
                                             const RepresentationsOrigin& origin, bool replace,
                                             std::optional<std::string> identity) {
  const bool exists = !replace && fs::exists(fs::symlink_status(path));
  if (exists && !identity) refuse_existing(path);
  hdf5::NewImage image =
      hdf5::NewImage::create(path.string(), (size_t{64} << 10) + origin.configuration.size());
  const bool ragged = !layout.offsets.empty();
  LACUNA_CHECK(!ragged || (layout.z.rank() == 1 &&
                           static_cast<int64_t>(layout.offsets.size()) == layout.samples + 1));
  write_origin(image, origin, layout.z.rank() > 1 || ragged);
  if (identity) image.set("identity", *identity);
  // Before the large columns: what HDF5 stores itself lies in memory up to its end in the file.
  image.create_texts("/files", layout.files);
  if (layout.add_texts) layout.add_texts(image);
  if (ragged) {
    const auto count = static_cast<int64_t>(layout.offsets.size());
    hdf5::Dataset offsets = image.create_dataset("/offsets", DType::i64, {count});
    offsets.set("axes", "sample and the end");
    offsets.set("description", "rows of /z before each sample");
    offsets.write(layout.offsets.data(), DType::i64);
  }
  Targets targets;
  for (const auto& column : all_columns(layout)) {
    const bool by_position = ragged && column.name == "z";
    hdf5::Dataset dataset = image.create_dataset(
        "/" + column.name, column.dtype,
        column.row.behind(by_position ? layout.offsets.back() : layout.samples),
        {.allocate_early = true});
    describe(dataset, column, ragged);
    const bool is_new =
        targets
            .emplace(column.name,
                     Target{dataset.offset().value_or(0),
                            static_cast<uint64_t>(column.row.count()) * size_of(column.dtype),
                            layout.samples, by_position ? layout.offsets : std::vector<int64_t>()})
            .second;
    LACUNA_CHECK(is_new, "two columns ", column.name);
  }
  const hdf5::NewImage::Content content = image.close();
  const bool whole = exists && is_laid_out(path, content, targets, layout.samples);
  if (exists && !whole) refuse_existing(path);
  construction_ = std::unique_ptr<Construction>(new Construction{
      path, replace, layout.samples, std::move(targets), std::nullopt, {}, nullptr});
  construction_->leftover.whole = whole;
  if (whole) return;
  if (identity) {
    // The front holds layout and origin: equal ones give equal bytes.
    construction_->identity = concat(*identity, " ", content.file_bytes, " ",
                                     crc32_of(content.bytes.data(), content.bytes.size()));
    construction_->leftover = find_leftover(path, *construction_->identity, content.file_bytes);
  }
  if (construction_->leftover.progress) {
    construction_->file =
        std::make_unique<DurableFile>(path, partial_suffix, DurableFile::Leftover::reuse);
    construction_->file->keep();
    return;
  }
  construction_->file = std::make_unique<DurableFile>(path, identity ? partial_suffix : ".tmp");
  construction_->file->set_size(content.file_bytes);
  construction_->file->write(0, content.bytes.data(), content.bytes.size());
}

RepresentationsWriter::~RepresentationsWriter() = default;

const RepresentationsWriter::Leftover& RepresentationsWriter::leftover() const {
  return construction_->leftover;
}

void RepresentationsWriter::count_written(int64_t rows) {
  for (auto& [name, target] : construction_->targets) target.missing -= rows;
}

void RepresentationsWriter::save_progress(const std::string& progress) {
  LACUNA_CHECK(construction_ != nullptr && construction_->identity);
  construction_->file->flush();
  write_durably(progress_file(construction_->path),
                progress_file_text(*construction_->identity, progress));
  construction_->file->keep();
}

void RepresentationsWriter::write(const std::string& column, int64_t first, int64_t count,
                                  const void* values) {
  LACUNA_CHECK(construction_ != nullptr, "written after finish()");
  const auto found = construction_->targets.find(column);
  LACUNA_CHECK(found != construction_->targets.end(), "column ", column);
  Target& target = found->second;
  LACUNA_CHECK(first >= 0 && count >= 0 && first + count <= construction_->samples, "rows ", first,
               " + ", count, " of ", construction_->samples);
  construction_->file->write(target.place_of(first), values,
                             static_cast<size_t>(target.bytes_of(first, count)));
  target.missing -= count;
}

void RepresentationsWriter::finish() {
  LACUNA_CHECK(construction_ != nullptr, "finished twice");
  for (const auto& [name, target] : construction_->targets)
    LACUNA_CHECK(target.missing == 0, target.missing, " rows of ", name, " are missing");
  const fs::path& path = construction_->path;
  if (fs::exists(fs::symlink_status(path))) {
    if (!construction_->replace) refuse_existing(path);
    move_aside(path);
  }
  construction_->file->publish();
  if (construction_->identity) {
    std::error_code ignored;  // without its file it says nothing
    fs::remove(progress_file(path), ignored);
  }
  construction_.reset();
}

std::optional<std::string> saved_progress(const fs::path& path) {
  std::error_code ignored;
  const fs::path saved = progress_file(path);
  return fs::exists(saved, ignored) ? second_line(read_text(saved)) : std::nullopt;
}

Representations read_representations(const fs::path& path) {
  const auto file = hdf5::File::open(path.string());
  const hdf5::Dataset z = file.dataset("/z");
  if (z.shape().rank() < 2)
    bad_input("/z in ", path.string(), " has the shape ", z.shape(),
              ": representations have two axes or more, sample first and feature last");
  if (file.has("/offsets"))
    bad_input("/z in ", path.string(),
              " has a row for each position of each sample: give "
              "representations of whole samples, as embed writes them without --output or with "
              "--output encoder");
  z.check_size();
  Representations all;
  all.z = HostTensor(DType::f32, z.shape());
  z.read(all.z.data(), DType::f32);
  const auto column = [&]<typename T>(const std::string& name, std::vector<T>& values) {
    const hdf5::Dataset dataset = file.dataset(name);
    if (dataset.shape() != Shape{z.rows()})
      bad_input(name, " in ", path.string(), " has the shape ", dataset.shape(), " beside ",
                z.rows(), " rows of /z");
    values = dataset.values<T>();
  };
  if (file.has("/label")) column("/label", all.label.emplace());
  if (file.has("/files") && file.has("/file") && file.has("/row")) {
    all.files = file.dataset("/files").texts();
    column("/file", all.file);
    column("/row", all.row);
    const auto known = [&](int32_t index) {
      return index >= 0 && static_cast<size_t>(index) < all.files.size();
    };
    const auto bad = std::find_if_not(all.file.begin(), all.file.end(), known);
    if (bad != all.file.end())
      bad_input("/file in ", path.string(), " names file ", *bad, " of ", all.files.size());
  }
  if (file.has_attribute("format") && file.text("format") == format) all.origin = read_origin(file);
  return all;
}

}  // namespace lacuna
