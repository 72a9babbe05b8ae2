#include "data/files/dataset.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "comm/agree.h"
#include "data/files/expand_files.h"
#include "data/files/field_storage.h"
#include "data/files/members.h"
#include "data/files/offsets.h"
#include "io/hdf5.h"

namespace lacuna {

namespace {

constexpr int64_t contiguous_block_bytes = 1 << 20;

void broadcast_text(std::string& text, Communicator& communicator) {
  auto size = static_cast<int64_t>(text.size());
  communicator.broadcast(&size, sizeof(size), 0).wait();
  text.resize(static_cast<size_t>(size));
  if (size > 0) communicator.broadcast(text.data(), text.size(), 0).wait();
}

// A hash of pieces of a file, at places that follow from its size: of a file that was replaced by
// one of the same size hardly any piece is as it was. Of a few changed samples it knows nothing,
// nor of a file to which this one only refers.
uint64_t pieces_of(const std::string& path, uint64_t bytes, size_t pieces) {
  constexpr uint64_t piece_bytes = 4096;
  std::ifstream file(path, std::ios::binary);
  std::string text(pieces * piece_bytes, '\0');
  for (size_t i = 0; i < pieces; ++i) {
    const uint64_t first = bytes / pieces * i, among = bytes / pieces;
    const uint64_t room = among > piece_bytes ? among - piece_bytes : 1;
    file.seekg(static_cast<std::streamoff>(first + hash_name(concat(bytes, ' ', i)) % room));
    file.read(text.data() + i * piece_bytes, piece_bytes);
    if (file.bad() || !file.is_open())
      bad_input("cannot read ", path, ": ", std::strerror(errno),
                "; make it readable, then start the same command again");
    file.clear();  // the last piece may end early
  }
  return hash_name(text);
}

// A column of labels or the like is small, and no piece of the file may lie in it: its first bytes,
// or all.
uint64_t column_of(const hdf5::Dataset& dataset, const Field& field, int64_t most_bytes) {
  constexpr int64_t most_bytes_a_row = 64;
  const int64_t row_bytes = dataset.shape().from(std::min(1, dataset.shape().rank())).count() *
                            static_cast<int64_t>(size_of(field.dtype));
  if (row_bytes > most_bytes_a_row || row_bytes == 0) return 0;
  const int64_t rows = std::min(dataset.rows(), most_bytes / row_bytes);
  std::string text(static_cast<size_t>(rows * row_bytes), '\0');
  dataset.read_rows(0, rows, text.data(), field.dtype);
  return hash_name(text);
}

// Of many files little each, so that looking into them costs no more than opening them.
size_t pieces_of_each(size_t files) { return std::clamp<size_t>(256 / files, 1, 16); }
int64_t column_bytes_of_each(size_t files) {
  return static_cast<int64_t>(std::clamp<size_t>((64 << 20) / files, 64 << 10, 8 << 20));
}

}  // namespace

Dataset::Dataset(const std::vector<std::string>& patterns, std::vector<FieldSpec> specs,
                 Communicator& communicator, SampleLayout layout, NumberReading numbers)
    : layout_(std::move(layout)), numbers_(numbers) {
  LACUNA_CHECK(!specs.empty());
  std::string result;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    index(patterns, specs);
    result = packed();
  });
  broadcast_text(result, communicator);
  unpack(result);
  find_validity();
}

Dataset::Dataset(Field sample, SampleLayout layout) : layout_(std::move(layout)) {
  fields_.push_back(std::move(sample));
}

void Dataset::index(const std::vector<std::string>& patterns, const std::vector<FieldSpec>& specs) {
  const std::vector<std::string> paths = distinct(expand_files(patterns));
  for (const std::string& path : paths) index_file(path, specs, paths.size());
  settle_numbers();
  find_validity();
  settle_series();
  if (samples_ == 0) {
    bad_input(fields_[0].path, " holds no samples in ",
              files_.size() == 1 ? files_[0].path : concat("any of ", files_.size(), " files"),
              layout_.has_windows()
                  ? concat(": every series is shorter than data.length = ", layout_.length)
                  : std::string());
  }
  if (layout_.has_extents() && std::all_of(files_.begin(), files_.end(), [](const DataFile& file) {
        return file.places.rows() == 0;
      })) {
    bad_input("all samples of ", fields_[0].path, " are empty: see whether data.dataset and ",
              "data.offsets name what you mean");
  }
  for (size_t f = 1; f < fields_.size() && !layout_.has_extents(); ++f) {
    const auto main = static_cast<size_t>(main_field_);
    if (fields_[f].row_bytes() > fields_[main].row_bytes()) main_field_ = static_cast<int>(f);
  }
  count_blocks();
}

// Without the second and further names of a file, of which it warns.
std::vector<std::string> Dataset::distinct(const std::vector<std::string>& paths) {
  if (!numbers_.each_once) return paths;
  std::map<std::pair<dev_t, ino_t>, std::string> first;
  std::vector<std::string> kept;
  std::string example;
  for (const std::string& path : paths) {
    struct stat status {};
    const bool there = stat(path.c_str(), &status) == 0;
    const auto [place, is_new] = first.try_emplace({status.st_dev, status.st_ino}, path);
    if (!there || is_new)
      kept.push_back(path);
    else if (example.empty())
      example = concat(path, " is ", place->second);
  }
  if (const size_t left = paths.size() - kept.size(); left > 0)
    warnings_.push_back(concat("data.files names ",
                               left == 1 ? "a file" : concat("files ", left, " times"),
                               " under another name again, which is read once: ", example));
  return kept;
}

// What reads as if it were there, and what attributes say that is left aside.
void Dataset::warn_of_field(const hdf5::Dataset& dataset, size_t members, const DataFile& entry) {
  const auto warn_once = [&](const char* what, const std::string& sentence) {
    const bool is_new = std::none_of(warnings_.begin(), warnings_.end(), [&](const auto& warning) {
      return warning.find(what) != warning.npos;
    });
    if (is_new) warnings_.push_back(sentence);
  };
  std::vector<std::string> absent;
  const std::vector<std::string> sources = dataset.virtual_files();
  const std::string folder = entry.path.substr(0, entry.path.rfind('/') + 1);
  for (const std::string& source : sources) {
    if (source.find("%b") != source.npos) continue;  // numbered from 0 up to where they end
    const bool there = access(source.c_str(), R_OK) == 0 ||
                       (source[0] != '/' && access((folder + source).c_str(), R_OK) == 0);
    if (!there) absent.push_back(source);
  }
  if (!absent.empty())
    warn_once("that are not there",
              concat(dataset.path(), " in ", entry.path, " takes its numbers from ",
                     counted(static_cast<int64_t>(sources.size()), "file"), ", ", absent.size(),
                     " of them such that are not there, as ", absent[0],
                     ": what they hold reads as the fill value; put them where they belong"));
  const int64_t unwritten = members > 0 ? 0 : dataset.unwritten_chunks();
  if (unwritten > 0)
    warn_once("were never written",
              concat(counted(unwritten, "chunk"), " of ", dataset.path(), " in ", entry.path,
                     " were never written, and read as the fill value: write them, or leave ",
                     "their samples out"));
  if (numbers_.by_attributes || !numbers_.warns) return;
  try {
    if (!meaning_of(dataset, number_type(dataset)).plain())
      warn_once("is left aside",
                concat("what attributes of ", dataset.path(), " in ", entry.path,
                       " say of its numbers (_FillValue, scale_factor and the like) is left aside, "
                       "as it was when the run began"));
  } catch (const Error&) {
    // attributes that say nothing
  }
}

// A column has a row for each sample, or for each series that samples are of.
void Dataset::settle_series() {
  int64_t series = 0, too_short = 0;
  for (const DataFile& file : files_) {
    series += file.places.series();
    too_short += file.places.too_short();
  }
  if (too_short > 0 && samples_ > 0) {
    warnings_.push_back(concat(too_short, " of ", series, " series are shorter than data.length = ",
                               layout_.length, ": no sample is of them"));
  }
  for (size_t f = 1; f < fields_.size(); ++f) {
    if (has_extents(static_cast<int>(f))) continue;  // has a row for each of theirs
    const auto rows_in = [&](const DataFile& file) {
      return file.fields[f].shape.slice(0, fields_[f].row_axes).count();
    };
    const auto fits_samples = [&](const DataFile& file) { return rows_in(file) == file.samples(); };
    const auto fits_series = [&](const DataFile& file) {
      return rows_in(file) == file.places.series();
    };
    const auto unfit = std::find_if_not(files_.begin(), files_.end(), fits_samples);
    const bool per_series = std::all_of(files_.begin(), files_.end(), fits_series);
    if (unfit == files_.end() && per_series && too_short > 0) {
      bad_input(
          fields_[f].path, " has as many rows as there are samples and as there are series, ",
          "of which some are shorter than data.length = ", layout_.length,
          ": leave these out of the files, or write a row for each sample of a longer series");
    }
    if (unfit == files_.end()) continue;
    fields_[f].per_series = per_series;
    if (fields_[f].per_series) continue;
    if (layout_ == SampleLayout{}) {
      bad_input(fields_[f].path, " in ", unfit->path, " has ", rows_in(*unfit), " rows, but ",
                fields_[0].path, " has ", unfit->samples(), "; both must have one for each sample");
    }
    bad_input(fields_[f].path, " in ", unfit->path, " has ", rows_in(*unfit), " rows, but ",
              fields_[0].path, " has ", unfit->samples(), " samples in ", unfit->places.series(),
              " series; it must have one for each sample or for each series");
  }
}

// How many samples are read together: whole entries of the first axis.
int64_t Dataset::samples_of_block(const DataFile& file) const {
  const auto main = static_cast<size_t>(main_field_);
  const FieldStorage& storage = file.fields[main];
  const bool chunked = storage.chunk.rank() > 0;
  if (layout_.has_extents() && layout_.row_axes() == 1) {
    int64_t rows = contiguous_block_bytes / std::max<int64_t>(1, fields_[main].row_bytes());
    if (chunked) rows = std::max(rows, 5 * storage.chunk[0]);
    const int64_t step =
        layout_.has_windows()
            ? layout_.hop
            : std::max<int64_t>(1, file.places.rows() / std::max<int64_t>(1, file.samples()));
    if (layout_.has_windows()) rows = std::max(rows, 5 * layout_.length);
    return std::max<int64_t>(1, rows / step);
  }
  if (storage.shape.rank() == 0 || layout_.row_axes() == 0) return 1;
  const int64_t entries = storage.shape[0];
  const int64_t entry_bytes = std::max<int64_t>(
      1, storage.shape.from(1).count() * static_cast<int64_t>(size_of(fields_[main].dtype)));
  const int64_t together =
      chunked ? storage.chunk[0] : std::max<int64_t>(1, contiguous_block_bytes / entry_bytes);
  return std::max<int64_t>(1, together * (entries > 0 ? file.samples() / entries : 1));
}

void Dataset::count_blocks() {
  for (DataFile& file : files_) {
    file.block_samples = samples_of_block(file);
    file.first_block = blocks_;
    blocks_ += (file.samples() + file.block_samples - 1) / file.block_samples;
  }
}

int64_t time_of_change(const struct stat& status) {
  return int64_t{1'000'000'000} * status.st_mtim.tv_sec + status.st_mtim.tv_nsec;
}

void Dataset::index_file(const std::string& path, const std::vector<FieldSpec>& specs,
                         size_t files) {
  const hdf5::File file = hdf5::File::open(path);
  if (file.unlocked() && warnings_.empty()) {
    warnings_.push_back(concat("locking of ", path,
                               " was refused by its file system or by a program that writes it; "
                               "reading goes on without locks"));
  }
  DataFile entry;
  entry.path = path;
  entry.first = samples_;
  entry.user_block = file.user_block();
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    entry.bytes = static_cast<uint64_t>(status.st_size);
    entry.modified = time_of_change(status);
  }
  for (const FieldSpec& spec : specs) index_field(file, spec, files, entry);
  find_places(file, entry);
  entry.contents ^= pieces_of(path, entry.bytes, pieces_of_each(files));
  samples_ += entry.samples();
  files_.push_back(std::move(entry));
}

void Dataset::index_field(const hdf5::File& file, const FieldSpec& spec, size_t files,
                          DataFile& entry) {
  const size_t f = entry.fields.size();
  std::vector<std::string> members = matching_datasets(file, spec.path);
  if (!members.empty() && (layout_.last || layout_.leading != 1 || !layout_.offsets.empty()))
    bad_input(spec.path, " names datasets that are a row each, which does not go with data.samples",
              ", data.leading or data.offsets: leave these out");
  const hdf5::Dataset dataset = file.dataset(members.empty() ? spec.path : members[0]);
  if (f > 0 && dataset.is_text()) {
    bad_input(
        dataset.path(), " in ", entry.path, " holds texts, and labels that are read with the ",
        "samples are whole numbers: leave data.label out, name it for lacuna finetune, which ",
        "takes names, or copy it beside the representations with embed.copy");
  }
  const Shape stored = rows_of_field(dataset, f, members.size(), entry, spec.name == valid_field);
  const int row_axes = row_axes_of(spec.name, f, stored);
  Field field{spec.name, dataset.path(), f == 0 ? number_type(dataset) : dataset.dtype(),
              stored.from(row_axes), row_axes};
  if (!members.empty()) field.path = spec.path[0] == '/' ? spec.path : "/" + spec.path;
  const bool by_attributes = f == 0 && numbers_.by_attributes;
  if (f == 0) {
    field.lists = lists_of(dataset);
    describe_type(dataset, field);
    if (dataset.attribute_type("units") == "text") field.units = dataset.text("units");
    warn_of_field(dataset, members.size(), entry);
  }
  dataset.check_filters();
  check_members(file, members, dataset, by_attributes);
  dataset.check_size();
  if (field.shape.count() == 0) {
    bad_input(field.path, " in ", entry.path, " has samples of the shape ", field.shape,
              ", which hold no values");
  }
  const bool like_samples = row_axes > 1 || spec.name == valid_field;
  if (f > 0 && like_samples &&
      stored.slice(0, row_axes) != entry.fields[0].shape.slice(0, row_axes)) {
    bad_input(field.path, " in ", entry.path, " has the shape ", stored, ", but ", fields_[0].path,
              " has the shape ", entry.fields[0].shape, ": the first ", row_axes,
              " axes of both must agree");
  }
  if (files_.empty()) {
    fields_.push_back(field);
  } else if (field.row_axes != fields_[f].row_axes) {
    bad_input(field.path, " in ", entry.path, " has the shape ", stored, ", but in ",
              files_[0].path, " it has the shape ", files_[0].fields[f].shape,
              ": the same number of axes must count samples in all files of a data set");
  } else if (field.units != fields_[f].units && by_attributes) {
    bad_input(field.path, " in ", entry.path, " has the units \"", field.units, "\", but in ",
              files_[0].path, " \"", fields_[f].units, "\": write all files in the same");
  } else if (field.shape != fields_[f].shape || field.dtype != fields_[f].dtype) {
    bad_input(field.path, " in ", entry.path, " has samples ", field.shape, " ",
              name_of(field.dtype), ", but in ", files_[0].path, " they are ", fields_[f].shape,
              " ", name_of(fields_[f].dtype), "; all files of a data set must agree",
              f == 0 && layout_.leading == 0 && !layout_.has_extents()
                  ? ", or, where signals have several lengths, set data.length"
                  : "");
  }
  const bool whole = members.empty() && !field.complex;
  const bool last = layout_.last && (f == 0 || (spec.name == valid_field && stored.rank() > 1));
  entry.fields.push_back(storage_of(file, dataset, stored, last, std::move(members)));
  if (by_attributes) entry.fields.back().meaning = meaning_of(dataset, field.dtype);
  entry.contents = std::rotl(entry.contents, 1) ^
                   (whole ? column_of(dataset, field, column_bytes_of_each(files)) : 0);
}

// The shape of what is stored, with rows in front. `members`: how many datasets are a row each.
Shape Dataset::rows_of_field(const hdf5::Dataset& dataset, size_t field, size_t members,
                             const DataFile& entry, bool valid) const {
  const bool complex = field == 0 && dataset.complex();
  if (dataset.shape().rank() + (members > 0 ? 1 : 0) + (complex ? 1 : 0) > Shape::max_rank)
    bad_input(dataset.path(), " in ", entry.path, " has too many axes");
  const Shape shape = complex ? with_parts(dataset.shape()) : dataset.shape();
  if (members > 0) return shape.behind(static_cast<int64_t>(members));
  const int rank = dataset.shape().rank();
  if (rank == 0 && (field == 0 || layout_.leading > 0)) {
    bad_input(dataset.path(), " in ", entry.path,
              " is a single value; its first axis must count samples");
  }
  if (rank < (field == 0 ? layout_.row_axes() : valid ? 0 : column_axes(shape))) {
    bad_input(dataset.path(), " in ", entry.path, " has the shape ", shape,
              ", too few axes for data.leading = ", layout_.leading,
              layout_.has_windows() ? " and the axis of windows behind them" : "",
              ": set it to the number of axes that count samples or series");
  }
  const bool last = layout_.last && (field == 0 || (valid && rank > 1));
  if (!last) return shape;
  const Shape rows = last_axis_first(dataset.shape());
  return complex ? with_parts(rows) : rows;
}

// Of how many axes rows are counted along. Validity has a row for each of the samples'.
int Dataset::row_axes_of(const std::string& name, size_t field, const Shape& stored) const {
  if (field == 0) return layout_.row_axes();
  if (name == valid_field) return std::min(stored.rank(), layout_.row_axes());
  return column_axes(stored);
}

// What the samples of all files are delivered as.
void Dataset::settle_numbers() {
  Field& field = fields_[0];
  bool plain = !has_field(valid_field), wide = false;
  field.has_missing = !plain;
  field.may_miss = numbers_.may_miss;
  for (const DataFile& file : files_) {
    const FieldStorage& storage = file.fields[0];
    const NumberMeaning& meaning = storage.meaning;
    plain &= meaning.plain();
    field.scaled |= meaning.scaled();
    field.has_missing |= meaning.has_missing();
    wide |= size_of(storage.dtype) == 8 || storage.dtype == DType::i32 || meaning.in_double;
  }
  if (field.scaled) field.type_range.reset();
  if (!plain) field.dtype = wide ? DType::f64 : DType::f32;
}

bool Dataset::decodes(const DataFile& file) const {
  const FieldStorage& storage = file.fields[0];
  return storage.dtype != fields_[0].dtype || !storage.meaning.plain() || has_field(valid_field);
}

// Whether validity is of the first axes of a sample or of its last ones; axes of one do not count.
void Dataset::find_validity() {
  if (!has_field(valid_field)) return;
  const auto without_ones = [](const Shape& shape) {
    std::vector<int64_t> sizes(shape.sizes().begin(), shape.sizes().end());
    std::erase(sizes, 1);
    return sizes;
  };
  const Field& valid = fields_[static_cast<size_t>(field(valid_field))];
  const std::vector<int64_t> sample = without_ones(fields_[0].shape);
  const std::vector<int64_t> part = without_ones(valid.shape);
  const bool fits = part.size() <= sample.size();
  const int64_t each = valid.shape.count();
  if (fits && std::equal(part.begin(), part.end(), sample.begin()))
    validity_ = {.repeat = fields_[0].shape.count() / each, .validities = each};
  else if (fits && std::equal(part.rbegin(), part.rend(), sample.rbegin()))
    validity_ = {.repeat = 0, .validities = each};
  else
    bad_input(valid.path, " has ", valid.shape, " for each row of ", fields_[0].path,
              ", which are of the shape ", fields_[0].shape,
              ": data.valid must name one value for each number, pixel, channel or sample");
}

// Where its samples lie on the rows of the first field.
void Dataset::find_places(const hdf5::File& file, DataFile& entry) const {
  const Shape& stored = entry.fields[0].shape;
  if (layout_.offsets.empty()) {
    entry.places = SamplePlaces(layout_, stored);
    return;
  }
  const hdf5::Dataset dataset = file.dataset(layout_.offsets);
  const bool whole_numbers = !is_float(dataset.dtype()) && !dataset.enumeration();
  if (dataset.shape().rank() != 1 || dataset.rows() == 0 || !whole_numbers) {
    bad_input(
        dataset.path(), " in ", entry.path, " has the shape ", dataset.shape(), " and is ",
        dataset.enumeration() ? "true or false, or another enumeration" : name_of(dataset.dtype()),
        ": data.offsets must name whole numbers, one more than there are samples");
  }
  const int64_t extents = dataset.rows() - 1;
  if (!layout_.has_windows()) {
    int64_t first = 0, last = 0;
    dataset.read_rows(0, 1, &first, DType::i64);
    dataset.read_rows(extents, 1, &last, DType::i64);
    if (first < 0 || first > last || last > stored[0])
      bad_input(dataset.path(), " in ", entry.path, " begins with ", first, " and ends with ", last,
                ", but offsets must not fall and must lie between 0 and the ", stored[0],
                " rows of ", fields_[0].path);
    entry.places = SamplePlaces::with_offsets(extents, last - first);
    return;
  }
  std::vector<int64_t> offsets = dataset.values<int64_t>();
  const std::string path = dataset.path();
  check_offsets(offsets, 0, {path, entry.path, fields_[0].path, stored[0]});
  entry.places = SamplePlaces::windows(layout_, std::move(offsets));
}

int Dataset::field(const std::string& name) const {
  for (size_t f = 0; f < fields_.size(); ++f) {
    if (fields_[f].name == name) return static_cast<int>(f);
  }
  LACUNA_CHECK(false, "no field ", name);
  return -1;
}

bool Dataset::has_field(const std::string& name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& f) { return f.name == name; });
}

Field Dataset::sample_field() const {
  Field field = fields_[0];
  if (layout_.has_extents()) field.shape = field.shape.behind(layout_.length);
  return field;
}

const DataFile& Dataset::file_of(int64_t sample) const {
  LACUNA_CHECK(sample >= 0 && sample < samples_);
  // The last file that begins at or before it; files without rows begin where the next one does.
  const auto after =
      std::upper_bound(files_.begin(), files_.end(), sample,
                       [](int64_t s, const DataFile& file) { return s < file.first; });
  return *(after - 1);
}

Block Dataset::block(int64_t number) const {
  LACUNA_CHECK(number >= 0 && number < blocks_);
  const auto after =
      std::upper_bound(files_.begin(), files_.end(), number,
                       [](int64_t n, const DataFile& file) { return n < file.first_block; });
  const DataFile& file = *(after - 1);
  Block block;
  block.file = static_cast<int>(&file - files_.data());
  block.in_file = (number - file.first_block) * file.block_samples;
  block.samples = std::min(file.block_samples, file.samples() - block.in_file);
  block.first = file.first + block.in_file;
  return block;
}

std::vector<int64_t> Dataset::block_samples() const {
  std::vector<int64_t> counts;
  counts.reserve(static_cast<size_t>(blocks_));
  for (int64_t b = 0; b < blocks_; ++b) counts.push_back(block(b).samples);
  return counts;
}

RowRange Dataset::rows_of(const DataFile& file, int field, int64_t sample) const {
  if (has_extents(field)) return file.places.rows_of(sample);
  if (fields_[static_cast<size_t>(field)].per_series) return {file.places.series_of(sample), 1};
  return {sample, 1};
}

RowRange Dataset::rows_of(const Block& block, int field) const {
  const DataFile& file = files_[static_cast<size_t>(block.file)];
  const RowRange first = rows_of(file, field, block.in_file);
  const RowRange last = rows_of(file, field, block.in_file + block.samples - 1);
  return {first.first, last.end() - first.first};
}

int Dataset::column_axes(const Shape& stored) const {
  const int counting = layout_.offsets.empty() ? std::max(1, layout_.leading) : 1;
  return std::min(stored.rank(), counting);
}

int64_t Dataset::rows_per_entry(const DataFile& file, int field) const {
  const auto f = static_cast<size_t>(field);
  if (fields_[f].row_axes < 2) return 1;
  return file.fields[f].shape.slice(1, fields_[f].row_axes).count();
}

int64_t Dataset::bytes() const {
  int64_t bytes = 0;
  for (const DataFile& file : files_) {
    for (size_t f = 0; f < fields_.size(); ++f)
      bytes += file.fields[f].shape.count() * static_cast<int64_t>(size_of(fields_[f].dtype));
  }
  return bytes;
}

int64_t Dataset::block_bytes(int64_t number) const {
  const Block block = this->block(number);
  const DataFile& file = files_[static_cast<size_t>(block.file)];
  int64_t bytes = 0;
  for (size_t f = 0; f < fields_.size(); ++f) {
    const int field = static_cast<int>(f);
    const int64_t rows = has_extents(field) && !file.places.known()
                             ? file.places.rows() * block.samples / file.samples() + 1
                             : rows_of(block, field).count;
    bytes += rows * fields_[f].row_bytes();
  }
  return bytes;
}

int64_t Dataset::largest_block_bytes() const {
  int64_t largest = 0;
  for (const DataFile& file : files_) {
    if (file.samples() > 0) largest = std::max(largest, block_bytes(file.first_block));
  }
  return largest;
}

uint64_t Dataset::fingerprint() const {
  std::string text;
  for (const Field& field : fields_) {
    text += concat(field.path, ' ', field.shape, ' ', name_of(field.dtype), '\n');
  }
  for (const DataFile& file : files_) {
    text += concat(file.path.substr(file.path.rfind('/') + 1), ' ', file.bytes, ' ', file.samples(),
                   '\n');
  }
  if (layout_ != SampleLayout{}) {
    text += concat(layout_.leading, ' ', layout_.offsets, ' ', layout_.length, ' ', layout_.hop,
                   layout_.last ? " last" : "");
  }
  return hash_name(text);
}

uint64_t Dataset::contents() const {
  std::string text;
  for (const DataFile& file : files_) text += concat(file.contents, '\n');
  return hash_name(text);
}

}  // namespace lacuna
