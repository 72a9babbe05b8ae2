#include "config/key_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "config/key_words.h"
#include "config/toml_text.h"

namespace lacuna {

namespace {

std::string source_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return toml_text(text->get());
  if (const auto* integer = node.as_integer()) return toml_text(integer->get());
  if (const auto* boolean = node.as_boolean()) return toml_text(boolean->get());
  if (const auto* number = node.as_floating_point()) {
    const double value = number->get();
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return plain_text(value);
  }
  if (const auto* array = node.as_array()) {
    std::string text = "[";
    for (const toml::node& item : *array) text += (text.size() > 1 ? ", " : "") + source_text(item);
    return text + "]";
  }
  return node.is_table() ? "a table" : "a date or time";
}

std::string kind_words(const toml::node& node) {
  if (node.is_string()) return ", a text";
  if (node.is_integer()) return ", an integer";
  if (node.is_floating_point()) return ", a number";
  if (node.is_boolean()) return ", a boolean";
  if (node.is_array()) return ", a list";
  return "";
}

bool in_range(const Key& key, double value) {
  if (key.low && (value < *key.low || (key.low_excluded && value == *key.low))) return false;
  if (key.high && (value > *key.high || (key.high_excluded && value == *key.high))) return false;
  return true;
}

// "512 MiB" -> 536870912. Units: B, kB MB GB TB (decimal), KiB MiB GiB TiB (binary).
std::optional<int64_t> parse_bytes(const std::string& text) {
  static const std::map<std::string, double> units = {
      {"", 1},      {"B", 1},      {"kB", 1e3},     {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 1024}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
  };
  double count = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || !std::isfinite(count)) return std::nullopt;
  std::string unit(rest, end);
  unit.erase(0, unit.find_first_not_of(' '));
  const auto found = units.find(unit);
  if (found == units.end()) return std::nullopt;
  const double bytes = std::round(count * found->second);
  if (bytes < 0 || bytes >= 0x1p62) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

// Absolute and normal, without looking at the file system; patterns are paths too.
std::string absolute_path(const std::string& path, const std::string& folder) {
  if (path.empty()) return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

// Converts one scalar to the item type of `key`, without its range.
std::optional<Value> convert_scalar(const Key& key, const toml::node& node,
                                    const std::string& folder) {
  switch (item_type(key.type)) {
    case KeyType::integer:
      if (const auto* integer = node.as_integer()) return Value(integer->get());
      return std::nullopt;
    case KeyType::number:
      if (const auto* integer = node.as_integer())
        return Value(static_cast<double>(integer->get()));
      if (const auto* number = node.as_floating_point(); number && std::isfinite(number->get())) {
        return Value(number->get() == 0 ? 0.0 : number->get());
      }
      return std::nullopt;
    case KeyType::boolean:
      if (const auto* boolean = node.as_boolean()) return Value(boolean->get());
      return std::nullopt;
    case KeyType::bytes:
      if (const auto* integer = node.as_integer()) return Value(integer->get());
      if (const auto* text = node.as_string()) {
        if (const auto bytes = parse_bytes(text->get())) return Value(*bytes);
      }
      return std::nullopt;
    case KeyType::path:
      if (const auto* text = node.as_string()) return Value(absolute_path(text->get(), folder));
      return std::nullopt;
    default:
      if (const auto* text = node.as_string()) return Value(text->get());
      return std::nullopt;
  }
}

bool allowed(const Key& key, const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return in_range(key, static_cast<double>(*integer));
  }
  if (const auto* number = std::get_if<double>(&value)) return in_range(key, *number);
  if (const auto* text = std::get_if<std::string>(&value); text && !key.choices.empty()) {
    return std::find(key.choices.begin(), key.choices.end(), *text) != key.choices.end();
  }
  return true;
}

template <typename T>
Value list_of(const std::vector<Value>& items) {
  std::vector<T> list;
  for (const Value& item : items) list.push_back(std::get<T>(item));
  return list;
}

Value list_of(KeyType type, const std::vector<Value>& items) {
  switch (type) {
    case KeyType::integers:
      return list_of<int64_t>(items);
    case KeyType::numbers:
      return list_of<double>(items);
    default:
      return list_of<std::string>(items);
  }
}

// "key is 3.5, a number; it must be ...": the sentence for a value of the wrong type or range.
std::string refusal(const Key& key, const toml::node& node, bool type_is_wrong) {
  std::string sentence =
      concat(key.name, " is ", source_text(node), type_is_wrong ? kind_words(node) : "",
             "; it must be ", expected(key));
  const auto* text = node.as_string();
  if (text && !(key.choices.empty() && key.words.empty())) {
    std::vector<std::string> words = key.choices;
    words.insert(words.end(), key.words.begin(), key.words.end());
    const std::string near = nearest(text->get(), words);
    if (!near.empty()) sentence += concat("; did you mean ", toml_text(near), "?");
  }
  return sentence;
}

Converted convert_list(const Key& key, const toml::node& node, const std::string& folder) {
  std::vector<Value> items;
  const auto add = [&](const toml::node& item) -> std::string {
    const auto value = convert_scalar(key, item, folder);
    if (!value) return refusal(key, node, true);
    if (!allowed(key, *value)) return refusal(key, node, false);
    items.push_back(*value);
    return "";
  };
  const bool texts = key.type == KeyType::texts || key.type == KeyType::paths;
  if (const auto* array = node.as_array()) {
    for (const toml::node& item : *array) {
      if (std::string problem = add(item); !problem.empty()) return {{}, problem};
    }
  } else if (texts && node.is_string()) {
    if (std::string problem = add(node); !problem.empty()) return {{}, problem};
  } else {
    return {{}, refusal(key, node, true)};
  }
  if (key.items && items.size() != *key.items) return {{}, refusal(key, node, false)};
  return {list_of(key.type, items), ""};
}

}  // namespace

Converted convert(const Key& key, const toml::node& node, const std::string& folder) {
  if (const auto* text = node.as_string()) {
    const auto& words = key.words;
    if (std::find(words.begin(), words.end(), text->get()) != words.end()) return {text->get(), ""};
  }
  if (is_list(key.type)) return convert_list(key, node, folder);
  const auto value = convert_scalar(key, node, folder);
  if (!value) return {{}, refusal(key, node, true)};
  if (!allowed(key, *value)) return {{}, refusal(key, node, false)};
  return {*value, ""};
}

toml::table parse_override(const std::string& text, const Key* key) {
  const bool textual = key != nullptr && (item_type(key->type) == KeyType::text ||
                                          item_type(key->type) == KeyType::path);
  try {
    toml::table table = parse_toml(concat("value = ", text));
    const toml::node* node = table.get("value");
    const bool usable = table.size() == 1 && node != nullptr && !node->is_table();
    if (usable && (!textual || node->is_string() || node->is_array())) return table;
  } catch (const TomlError&) {
    // a bare word
  }
  const size_t first = text.find_first_not_of(' ');
  const size_t last = text.find_last_not_of(' ');
  toml::table table;
  table.insert("value", first == std::string::npos ? "" : text.substr(first, last - first + 1));
  return table;
}

Converted default_of(const Key& key, const std::string& folder) {
  const toml::table parsed = parse_override(*key.default_text, &key);
  return convert(key, *parsed.get("value"), folder);
}

}  // namespace lacuna
