#include "data/labels.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/files/expand_files.h"

namespace lacuna {

namespace {

using Type = LabelColumn::Type;

// What rows of labels look like in one file.
LabelColumn described(const hdf5::Dataset& stored, const Shape& row, const std::string& path) {
  if (stored.type_text() == "variable-length")
    bad_input(
        stored.file(), ": ", stored.path(),
        " holds a list of its own length for each sample: write several labels of a sample as "
        "a row of 0 and 1, [samples, classes], for task.name = \"tag\"");
  if (row.rank() > 1 || row.count() < 1)
    bad_input(stored.file(), ": ", stored.path(), " has the shape ", stored.shape(),
              ", and labels have the shape [samples] or [samples, numbers]: name such a column");
  LabelColumn column{.path = path, .type_text = stored.type_text(), .width = row.count()};
  if (stored.is_text())
    column.type = Type::texts;
  else
    column.type = is_float(stored.dtype()) ? Type::numbers : Type::integers;
  column.names = stored.enumeration().value_or(std::map<int64_t, std::string>());
  for (const char* attribute : {"_FillValue", "missing_value"}) {
    if (column.type == Type::texts || !stored.has_attribute(attribute)) continue;
    for (const double value : stored.numbers(attribute))  // as a stored number of that type is
      column.fill.push_back(
          stored.dtype() == DType::f32 ? static_cast<double>(static_cast<float>(value)) : value);
  }
  for (const char* attribute : {"scale_factor", "add_offset"}) {
    if (column.type != Type::texts && stored.has_attribute(attribute))
      bad_input(stored.file(), ": ", stored.path(), " has the attribute ", attribute,
                ", by which the numbers there are not those that are meant, and which is not "
                "honoured of labels: write the numbers themselves, or remove the attribute");
  }
  return column;
}

template <typename T>
void append(std::vector<T>& all, std::vector<T> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// HDF5 makes larger numbers the largest of int64, so that they would be one class.
void check_unsigned(const hdf5::Dataset& stored, const std::vector<int64_t>& values) {
  if (stored.type_text() != "uint64") return;
  for (const int64_t value : values)
    if (value == std::numeric_limits<int64_t>::max())
      bad_input(stored.file(), ": ", stored.path(),
                " holds a number of 2^63 - 1 or more, which cannot be told from others: number the "
                "classes below it, or write them as texts");
}

// NetCDF's arrays of characters [samples, length] hold one text for each sample.
void join_characters(LabelColumn& column, std::vector<std::string>& texts) {
  const bool characters = std::all_of(texts.begin(), texts.end(),
                                      [](const std::string& text) { return text.size() <= 1; });
  if (column.width < 2 || !characters) return;
  std::vector<std::string> joined;
  for (size_t i = 0; i < texts.size(); i += static_cast<size_t>(column.width)) {
    std::string& text = joined.emplace_back();
    for (int64_t k = 0; k < column.width; ++k) text += texts[i + static_cast<size_t>(k)];
    text.erase(text.find_last_not_of(' ') + 1);
  }
  texts = std::move(joined);
  column.width = 1;
}

class Reading {
 public:
  explicit Reading(const LabelPlace& place) : path_(place.path) {}

  // Rows that belong to `samples` samples; `values` reads them, given a vector of their type.
  template <typename Values>
  void add(const hdf5::Dataset& stored, const Shape& row, int64_t samples, const Values& values) {
    LabelColumn here = described(stored, row, path_);
    std::vector<std::string> texts;
    if (here.type == Type::texts) {
      texts = values(std::type_identity<std::string>());
      join_characters(here, texts);
    }
    if (first_.empty()) {
      all_ = here;
      first_ = stored.file();
    }
    if (here.type != all_.type || here.width != all_.width || here.names != all_.names ||
        here.fill != all_.fill)
      bad_input(stored.file(), ": ", stored.path(), " is ", here.type_text, " ", stored.shape(),
                ", and in ", first_, " it is ", all_.type_text, ", ", counted(all_.width, "value"),
                " for each sample: labels must be alike, with the same names and fill values, in "
                "all files");
    all_.samples += samples;
    switch (here.type) {
      case Type::integers: {
        std::vector<int64_t> more = values(std::type_identity<int64_t>());
        check_unsigned(stored, more);
        append(all_.integers, std::move(more));
        break;
      }
      case Type::numbers:
        append(all_.numbers, values(std::type_identity<double>()));
        break;
      case Type::texts:
        append(all_.texts, std::move(texts));
    }
  }
  LabelColumn take() { return std::move(all_); }

 private:
  std::string path_;
  std::string first_;  // file
  LabelColumn all_;
};

void add_column(const Column& column, Reading& reading) {
  reading.add(column.stored(), column.row(), column.file().samples(),
              [&]<typename T>(std::type_identity<T>) {
                if constexpr (std::is_same_v<T, std::string>)
                  return column.texts();
                else
                  return column.numbers<T>();
              });
}

// Of one file for the samples of several.
void add_all_samples(const Dataset& dataset, const hdf5::Dataset& stored, Reading& reading) {
  const Shape& shape = stored.shape();
  const bool lies = shape.rank() == 2 && shape[0] == 1 && shape[1] == dataset.samples();
  if (shape.rank() == 0 || (!lies && shape[0] != dataset.samples()))
    bad_input(stored.file(), ": ", stored.path(), " has the shape ", shape, ", but there are ",
              dataset.samples(), " samples in ", dataset.files().size(),
              " files: name a column with one row for each, in the order of the files' paths");
  reading.add(stored, lies ? Shape{} : shape.from(1), dataset.samples(),
              [&]<typename T>(std::type_identity<T>) {
                if constexpr (std::is_same_v<T, std::string>)
                  return stored.texts();
                else
                  return stored.values<T>();
              });
}

}  // namespace

LabelColumn read_labels(const Dataset& dataset, const LabelPlace& place) {
  Reading reading(place);
  if (place.files.empty()) {
    for_each_column(dataset, place.path,
                    [&](const Column& column) { add_column(column, reading); });
    return reading.take();
  }
  const std::vector<std::string> files = expand_files(place.files, place.files_key);
  const std::vector<DataFile>& of_samples = dataset.files();
  const bool listed = std::none_of(place.files.begin(), place.files.end(), [](const auto& file) {
    return file.find_first_of("*?[") != std::string::npos;
  });
  if (listed && files.size() > 1 && files != place.files)
    bad_input(place.files_key,
              " is read in the bytewise order of paths, as data.files is, and names ",
              place.files[0], " first, where ", files[0], " is: name the files of labels so that ",
              "they are sorted as those of the samples, or put all labels into one file");
  if (files.size() != 1 && files.size() != of_samples.size())
    bad_input(place.files_key, " names ", files.size(), " files, and the samples lie in ",
              of_samples.size(),
              ": name one file for each of these, in the order of their paths, or one for all");
  for (size_t i = 0; i < files.size(); ++i) {
    const hdf5::File opened = hdf5::File::open(files[i]);
    const hdf5::Dataset stored = opened.dataset(place.path);
    if (files.size() == of_samples.size())
      add_column(Column(dataset, of_samples[i], stored), reading);
    else
      add_all_samples(dataset, stored, reading);
  }
  return reading.take();
}

}  // namespace lacuna
