#include "stages/inspect/describe.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "io/hdf5.h"

namespace lacuna {
namespace {

constexpr size_t shown_datasets = 200, shown_values = 8, shown_characters = 100;

// The first line of a text, shortened.
std::string short_text(const std::string& text) {
  const auto lines = std::count(text.begin(), text.end(), '\n');
  if (lines > 1) return concat("a text of ", lines, " lines");
  if (text.size() > shown_characters) return concat(text.substr(0, shown_characters), " ...");
  return text;
}

template <typename T>
std::string some_of(const std::vector<T>& values) {
  std::string text;
  for (size_t i = 0; i < std::min(values.size(), shown_values); ++i) {
    text += concat(i ? ", " : "", values[i]);
  }
  return values.size() > shown_values ? concat(text, ", ... (", values.size(), " values)") : text;
}

// An attribute in words, whatever its type.
std::string attribute_text(const hdf5::Node& node, const std::string& name) {
  try {
    const std::vector<std::string> texts = node.texts(name);
    return texts.size() == 1 ? short_text(texts.front()) : some_of(texts);
  } catch (const Error&) {
    // not a text
  }
  try {
    return some_of(node.numbers(name));
  } catch (const Error&) {
    return "neither text nor number";
  }
}

std::string attributes_text(const hdf5::Node& node, const std::string& indent) {
  std::string text;
  for (const std::string& name : node.attributes()) {
    text += concat(indent, name, ": ", attribute_text(node, name), "\n");
  }
  return text;
}

// "chunks of [256, 28, 28] (196 KiB), gzip, shuffle" or "contiguous".
std::string storage_text(const hdf5::Dataset& dataset) {
  const Shape chunk = dataset.chunk();
  std::string text = dataset.contiguous() ? "contiguous" : "compact, virtual or in other files";
  if (chunk.rank() > 0) text = concat("chunks of ", chunk);
  for (const hdf5::Filter& filter : dataset.filters()) {
    text += concat(", ", filter.name,
                   filter.available ? "" : " (its plugin is missing here; set HDF5_PLUGIN_PATH)");
  }
  return text;
}

std::string dataset_text(const hdf5::Dataset& dataset) {
  std::string text = concat(dataset.path(), "  ", dataset.shape(), " ", dataset.type_text());
  text += concat(", ", storage_text(dataset));
  if (const uint64_t stored = dataset.stored_bytes(); stored > 0) {
    text += concat(", ", bytes_text(static_cast<double>(stored)), " stored");
  }
  return text + "\n" + attributes_text(dataset, "    ");
}

// What a person would call the file: from its attribute "format", else from its shapes.
std::string kind_text(const hdf5::File& file, const std::vector<std::string>& datasets) {
  if (file.has_attribute("format")) {  // docs/formats.md
    const std::string format = attribute_text(file, "format");
    if (format.rfind("lacuna ", 0) == 0) return concat(format.substr(7), " written by Lacuna");
  }
  std::optional<int64_t> rows;
  for (const std::string& path : datasets) {
    const Shape shape = file.dataset(path).shape();
    if (shape.rank() == 0 || (rows && *rows != shape[0])) return "plain HDF5";
    rows = shape[0];
  }
  return rows ? concat("a data set of ", *rows, " samples") : "no dataset";
}

}  // namespace

std::string describe_file(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  const std::vector<std::string> datasets = file.datasets(shown_datasets + 1);
  std::string text =
      concat(path, ": ", kind_text(file, datasets), ", ",
             bytes_text(static_cast<double>(std::filesystem::file_size(path))), "\n");
  if (const uint64_t user_block = file.user_block(); user_block > 0) {
    text += concat("a user block of ", user_block, " bytes stands before the HDF5 part\n");
  }
  text += attributes_text(file, "  ");
  for (size_t i = 0; i < std::min(datasets.size(), shown_datasets); ++i) {
    text += dataset_text(file.dataset(datasets[i]));
  }
  if (datasets.size() > shown_datasets) text += "... and more\n";
  return text;
}

}  // namespace lacuna
