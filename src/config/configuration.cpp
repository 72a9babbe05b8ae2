#include "config/configuration.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/text.h"
#include "config/toml_library.h"

namespace lacuna {
namespace {

// ---- Values as TOML text ------------------------------------------------------------------------

std::string toml_text(int64_t value) { return std::to_string(value); }

std::string toml_text(bool value) { return value ? "true" : "false"; }

// The shortest text that reads back as the same double; always recognisable as a float.
std::string toml_text(double value) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      static constexpr const char* digits = "0123456789ABCDEF";
      text += concat("\\u00", digits[byte / 16], digits[byte % 16]);
    } else {
      text += c;
    }
  }
  return text + "\"";
}

template <typename T>
std::string toml_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text += (text.size() > 1 ? ", " : "") + toml_text(value);
  return text + "]";
}

std::string toml_text(const Value& value) {
  return std::visit([](const auto& held) { return toml_text(held); }, value);
}

// A number as a person writes it: 0.2, 100.
std::string plain(double value) {
  std::array<char, 40> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

// ---- What a key accepts, in words ---------------------------------------------------------------

bool is_list(KeyType type) { return type >= KeyType::integers; }

// The type of one item of a list; other types stand for themselves.
KeyType item_type(KeyType type) {
  switch (type) {
    case KeyType::integers:
      return KeyType::integer;
    case KeyType::numbers:
      return KeyType::number;
    case KeyType::texts:
      return KeyType::text;
    case KeyType::paths:
      return KeyType::path;
    default:
      return type;
  }
}

std::string quoted(const std::vector<std::string>& words) {
  std::vector<std::string> all;
  for (const std::string& word : words) all.push_back(toml_text(word));
  return join(all);
}

// "of at least 1 and below 2", or "".
std::string range_words(const Key& key) {
  std::string text;
  if (key.low && key.high && !key.low_excluded && !key.high_excluded) {
    return concat(" from ", plain(*key.low), " to ", plain(*key.high));
  }
  if (key.low) text += concat(key.low_excluded ? " above " : " of at least ", plain(*key.low));
  const bool both = key.low && key.high;
  if (both) text += " and";
  if (key.high) {
    text += concat(key.high_excluded ? " below "
                   : both            ? " at most "
                                     : " of at most ",
                   plain(*key.high));
  }
  return text;
}

std::string item_words(const Key& key) {
  if (!key.choices.empty()) return concat("one of ", quoted(key.choices));
  switch (item_type(key.type)) {
    case KeyType::integer:
      return concat("an integer", range_words(key));
    case KeyType::number:
      return concat("a number", range_words(key));
    case KeyType::boolean:
      return "true or false";
    case KeyType::path:
      return "a path (a text)";
    case KeyType::bytes:
      return concat("a byte size such as \"512 MiB\" or an integer", range_words(key));
    default:
      return "a text";
  }
}

// What the key accepts, to stand behind "it must be".
std::string expected(const Key& key) {
  std::string text;
  if (is_list(key.type)) {
    text = "a list";
    if (key.items) text += concat(" of ", *key.items);
    text += concat(", each ", item_words(key));
  } else {
    text = item_words(key);
  }
  for (const std::string& word : key.words) text += concat(", or ", toml_text(word));
  return text;
}

// ---- TOML values to values of keys --------------------------------------------------------------

std::string source_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return toml_text(text->get());
  if (const auto* integer = node.as_integer()) return toml_text(integer->get());
  if (const auto* boolean = node.as_boolean()) return toml_text(boolean->get());
  if (const auto* number = node.as_floating_point()) {
    const double value = number->get();
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return plain(value);
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

// A value, or what is wrong with it as a sentence without its place.
struct Converted {
  std::optional<Value> value;
  std::string problem;
};

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

// ---- Reading text -------------------------------------------------------------------------------

// The value behind "key=" as a table with the one entry "value": TOML, or a bare word as a text.
// For keys that are texts, what TOML would take for a number or a date is still a text.
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

std::string section_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string leaf_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string current_folder() { return std::filesystem::current_path().string(); }

Key make_key(KeyType type, std::string name, key::Default value, std::string doc) {
  Key made;
  made.name = std::move(name);
  made.type = type;
  made.default_text = std::move(value);
  made.doc = std::move(doc);
  return made;
}

Converted default_of(const Key& key, const std::string& folder) {
  const toml::table parsed = parse_override(*key.default_text, &key);
  return convert(key, *parsed.get("value"), folder);
}

bool overlap(const Key& a, const Key& b) {
  if (a.selector.empty() || a.selector != b.selector) return true;
  return std::any_of(a.selector_values.begin(), a.selector_values.end(), [&](const auto& value) {
    return std::count(b.selector_values.begin(), b.selector_values.end(), value) > 0;
  });
}

}  // namespace

// ---- Keys ---------------------------------------------------------------------------------------

Key Key::unit(std::string text) && {
  unit_text = std::move(text);
  return std::move(*this);
}
Key Key::min(double value) && {
  low = value;
  return std::move(*this);
}
Key Key::max(double value) && {
  high = value;
  return std::move(*this);
}
Key Key::above(double value) && {
  low = value;
  low_excluded = true;
  return std::move(*this);
}
Key Key::below(double value) && {
  high = value;
  high_excluded = true;
  return std::move(*this);
}
Key Key::between(double lowest, double highest) && {
  low = lowest;
  high = highest;
  return std::move(*this);
}
Key Key::length(size_t count) && {
  items = count;
  return std::move(*this);
}
Key Key::or_word(std::string word) && {
  words.push_back(std::move(word));
  return std::move(*this);
}
Key Key::execution() && {
  is_execution = true;
  return std::move(*this);
}
Key Key::only_if(std::string other, std::vector<std::string> values) && {
  selector = std::move(other);
  selector_values = std::move(values);
  return std::move(*this);
}

namespace key {

Key integer(std::string name, Default value, std::string doc) {
  return make_key(KeyType::integer, std::move(name), std::move(value), std::move(doc));
}
Key number(std::string name, Default value, std::string doc) {
  return make_key(KeyType::number, std::move(name), std::move(value), std::move(doc));
}
Key boolean(std::string name, Default value, std::string doc) {
  return make_key(KeyType::boolean, std::move(name), std::move(value), std::move(doc));
}
Key text(std::string name, Default value, std::string doc) {
  return make_key(KeyType::text, std::move(name), std::move(value), std::move(doc));
}
Key one_of(std::string name, std::vector<std::string> choices, Default value, std::string doc) {
  Key made = text(std::move(name), std::move(value), std::move(doc));
  made.choices = std::move(choices);
  return made;
}
Key path(std::string name, Default value, std::string doc) {
  return make_key(KeyType::path, std::move(name), std::move(value), std::move(doc));
}
Key bytes(std::string name, Default value, std::string doc) {
  return make_key(KeyType::bytes, std::move(name), std::move(value), std::move(doc))
      .unit("bytes")
      .min(0);
}
Key integers(std::string name, Default value, std::string doc) {
  return make_key(KeyType::integers, std::move(name), std::move(value), std::move(doc));
}
Key numbers(std::string name, Default value, std::string doc) {
  return make_key(KeyType::numbers, std::move(name), std::move(value), std::move(doc));
}
Key texts(std::string name, Default value, std::string doc) {
  return make_key(KeyType::texts, std::move(name), std::move(value), std::move(doc));
}
Key some_of(std::string name, std::vector<std::string> choices, Default value, std::string doc) {
  Key made = texts(std::move(name), std::move(value), std::move(doc));
  made.choices = std::move(choices);
  return made;
}
Key paths(std::string name, Default value, std::string doc) {
  return make_key(KeyType::paths, std::move(name), std::move(value), std::move(doc));
}

}  // namespace key

// ---- Schema -------------------------------------------------------------------------------------

Schema& Schema::add(const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    LACUNA_CHECK(!key.name.empty() && !key.doc.empty(), "key \"", key.name,
                 "\" without name or doc");
    for (const Key& other : keys_) {
      LACUNA_CHECK(other.name != key.name || !overlap(other, key), "key ", key.name, " twice");
    }
    if (key.default_text) {
      const Converted value = default_of(key, "/");
      LACUNA_CHECK(value.value.has_value(), "default: ", value.problem);
    }
    keys_.push_back(key);
  }
  return *this;
}

Schema& Schema::add_for(const std::string& selector, const std::string& value,
                        std::vector<Key> keys) {
  for (Key& key : keys) {
    key.selector = selector;
    key.selector_values = {value};
  }
  return add(keys);
}

Schema& Schema::add_foreign(const std::vector<Key>& keys, const std::string& where) {
  for (const Key& key : keys) foreign_.emplace(key.name, where);
  return *this;
}

// ---- Loading ------------------------------------------------------------------------------------

// One loading: assignments are collected from file and command line, then settled key by key.
struct Loading {
  struct Assignment {
    const toml::node* node;
    std::string place;
    std::string folder;
    uint32_t line;
  };
  struct Problem {
    uint32_t line;  // 0: of the whole file; after the file's lines: of the command line
    std::string sentence;
  };
  static constexpr uint32_t whole_file = 1u << 30, command_line = (1u << 30) + 1;

  explicit Loading(const Schema& given) : schema(given) {
    for (const Key& key : schema.keys()) by_name[key.name].push_back(&key);
  }

  void problem(uint32_t line, const std::string& place, const std::string& sentence) {
    problems.push_back({line, concat(place, ": ", sentence)});
  }

  void read_text(std::string_view text, const std::string& source, const std::string& folder) {
    try {
      parsed.push_back(std::make_unique<toml::table>(parse_toml(text)));
    } catch (const TomlError& error) {
      problem(error.line(), concat(source, ", line ", error.line()),
              concat("not valid TOML: ", error.what()));
      return;
    }
    flatten(*parsed.back(), "", source, folder);
  }

  void flatten(const toml::table& table, const std::string& section, const std::string& source,
               const std::string& folder) {
    for (const auto& [leaf, node] : table) {
      const std::string text(leaf.str());
      // A dot inside a quoted name separates nothing.
      const std::string name =
          section + (text.find('.') == std::string::npos ? text : toml_text(text));
      if (const auto* inner = node.as_table(); inner && by_name.count(name) == 0) {
        flatten(*inner, name + ".", source, folder);
        continue;
      }
      const uint32_t line = leaf.source().begin.line;
      assign(name, {&node, concat(source, ", line ", line), folder, line});
    }
  }

  void read_overrides(const std::vector<std::string>& overrides) {
    for (const std::string& text : overrides) {
      const size_t equals = text.find('=');
      const std::string place = concat("--set ", text);
      if (equals == std::string::npos || equals == 0) {
        problem(command_line, place, "give it as key=value, such as --set optimizer.lr=0.3");
        continue;
      }
      std::string name = text.substr(0, equals);
      name.erase(name.find_last_not_of(' ') + 1);
      if (!is_utf8(text)) {
        problem(command_line, concat("--set ", is_utf8(name) ? name : "?"),
                "the value is not UTF-8");
        continue;
      }
      const auto known = by_name.find(name);
      parsed.push_back(std::make_unique<toml::table>(parse_override(
          text.substr(equals + 1), known == by_name.end() ? nullptr : known->second.front())));
      assign(name, {parsed.back()->get("value"), place, current_folder(), command_line});
    }
  }

  void assign(const std::string& name, const Assignment& assignment) {
    if (by_name.count(name) == 0) {
      problem(assignment.line, assignment.place, unknown(name));
    } else {
      assignments.insert_or_assign(name, assignment);
    }
  }

  // The sentence for a name that is no key.
  std::string unknown(const std::string& name) const {
    if (const auto found = schema.foreign().find(name); found != schema.foreign().end()) {
      return concat(name, " is a key of ", found->second, "; it has no meaning here");
    }
    std::vector<std::string> names, section, same_leaf;
    for (const auto& [candidate, keys] : by_name) {
      names.push_back(candidate);
      if (section_of(candidate) == name) {
        return concat(name, " is a section, not a key; its keys are ", keys_of(name));
      }
      if (leaf_of(candidate) == leaf_of(name)) same_leaf.push_back(candidate);
    }
    const std::string sentence = concat("there is no key ", name);
    if (std::string near = nearest(name, names); !near.empty()) {
      return concat(sentence, "; did you mean ", near, "?");
    }
    if (!same_leaf.empty())
      return concat(sentence, "; did you mean ", join(same_leaf, " or "), "?");
    if (std::string all = keys_of(section_of(name)); !all.empty()) {
      const std::string place = section_of(name);
      return concat(
          sentence,
          place.empty() ? "; outside sections there are " : concat("; section ", place, " has "),
          all);
    }
    std::set<std::string> sections;
    for (const std::string& candidate : names) sections.insert(section_of(candidate));
    sections.erase("");
    return concat(sentence, "; the sections are ",
                  join(std::vector<std::string>(sections.begin(), sections.end())));
  }

  std::string keys_of(const std::string& section) const {
    std::vector<std::string> names;
    for (const auto& [candidate, keys] : by_name) {
      if (section_of(candidate) == section) names.push_back(candidate);
    }
    return join(names);
  }

  // Converts the assigned or default value of a key and stores it.
  void settle(const Key& key) {
    const auto found = assignments.find(key.name);
    if (found == assignments.end() && !key.default_text) {
      problem(whole_file, source_name,
              concat(key.name, " is missing; set it to ", expected(key), " (", key.doc, ")"));
      return;
    }
    const bool set = found != assignments.end();
    const Converted converted = set ? convert(key, *found->second.node, found->second.folder)
                                    : default_of(key, default_folder);
    if (converted.value) {
      const std::string place = set ? found->second.place : "the default";
      entries[key.name] = {key, *converted.value, set, place};
      check_encoding(key.name, set ? found->second.line : whole_file);
    } else {
      problem(found->second.line, found->second.place, converted.problem);
    }
  }

  // A path may get bytes from the folder's name that no TOML can hold.
  void check_encoding(const std::string& name, uint32_t line) {
    const auto& entry = entries.at(name);
    if (!is_utf8(toml_text(entry.value))) {
      problem(line, entry.place,
              concat(name, " becomes a path that is not UTF-8; rename the folder"));
    }
  }

  // Settles a key that exists only for some values of its selector.
  void settle_conditional(const std::string& name, const std::vector<const Key*>& variants) {
    const std::string& selector = variants.front()->selector;
    const auto chosen = entries.find(selector);
    LACUNA_CHECK(by_name.count(selector) > 0, "selector ", selector, " of ", name, " is no key");
    if (chosen == entries.end()) return;  // the selector's own problem is reported
    const std::string& value = std::get<std::string>(chosen->second.value);
    std::vector<std::string> owners;
    for (const Key* key : variants) {
      const auto& values = key->selector_values;
      if (std::find(values.begin(), values.end(), value) != values.end()) {
        settle(*key);
        return;
      }
      owners.insert(owners.end(), values.begin(), values.end());
    }
    const auto found = assignments.find(name);
    if (found == assignments.end()) return;
    problem(found->second.line, found->second.place,
            concat(name, " is a key of ", join(owners), ", not of ", value, ", which ", selector,
                   " chooses (", chosen->second.place, "); remove one of the two"));
  }

  void settle_all() {
    for (const auto& [name, variants] : by_name) {
      if (variants.front()->selector.empty()) settle(*variants.front());
    }
    for (const auto& [name, variants] : by_name) {
      if (!variants.front()->selector.empty()) settle_conditional(name, variants);
    }
  }

  Configuration finish() {
    if (std::none_of(problems.begin(), problems.end(), [](const Problem& each) {
          return each.sentence.find("not valid TOML") != std::string::npos;
        })) {
      settle_all();
    }
    if (!problems.empty()) {
      std::stable_sort(problems.begin(), problems.end(),
                       [](const Problem& a, const Problem& b) { return a.line < b.line; });
      std::vector<std::string> sentences;
      for (const Problem& each : problems) sentences.push_back(each.sentence);
      bad_input(join(sentences, "\n"));
    }
    Configuration made;
    made.schema_ = std::make_shared<const Schema>(schema);
    made.entries_ = std::move(entries);
    return made;
  }

  const Schema& schema;
  std::string source_name, default_folder;
  std::map<std::string, std::vector<const Key*>> by_name;
  std::vector<std::unique_ptr<toml::table>> parsed;  // own the nodes of the assignments
  std::map<std::string, Assignment> assignments;
  std::map<std::string, Configuration::Entry, std::less<>> entries;
  std::vector<Problem> problems;
};

Configuration Configuration::load(const std::string& file, const Schema& schema,
                                  const std::vector<std::string>& overrides) {
  return from_text(read(file), schema, file, overrides);
}

std::string Configuration::read(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    bad_input("configuration ", file, " is a folder; give a TOML file");
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) bad_input("cannot read configuration ", file, ": ", std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) bad_input("cannot read configuration ", file, ": ", std::strerror(errno));
  return std::move(text).str();
}

Configuration Configuration::from_text(std::string_view text, const Schema& schema,
                                       const std::string& source,
                                       const std::vector<std::string>& overrides) {
  Loading loading(schema);
  loading.source_name = source;
  loading.default_folder =
      (std::filesystem::path(current_folder()) / std::filesystem::path(source).parent_path())
          .string();
  loading.read_text(text, source, loading.default_folder);
  loading.read_overrides(overrides);
  return loading.finish();
}

Configuration Configuration::with(const std::vector<std::string>& overrides) const {
  Loading loading(*schema_);
  std::string text;
  for (const auto& [name, each] : entries_) {
    if (each.set) text += concat(name, " = ", toml_text(each.value), "\n");
  }
  loading.source_name = "configuration";
  loading.default_folder = current_folder();
  loading.read_text(text, loading.source_name, loading.default_folder);
  for (auto& [name, assignment] : loading.assignments) assignment.place = entries_.at(name).place;
  loading.read_overrides(overrides);
  Configuration made = loading.finish();
  for (auto& [name, each] : made.entries_) {  // defaults stay what they were
    const auto old = entries_.find(name);
    if (!each.set && old != entries_.end() &&
        old->second.key.default_text == each.key.default_text) {
      each.value = old->second.value;
    }
  }
  return made;
}

// ---- Asking -------------------------------------------------------------------------------------

const Configuration::Entry& Configuration::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  LACUNA_CHECK(found != entries_.end(), "no key ", name, " in this configuration");
  return found->second;
}

template <typename T>
const T& Configuration::get(std::string_view name, std::initializer_list<KeyType> types) const {
  const Entry& found = entry(name);
  LACUNA_CHECK(std::find(types.begin(), types.end(), found.key.type) != types.end(), "key ", name,
               " has another type");
  const T* value = std::get_if<T>(&found.value);
  LACUNA_CHECK(value != nullptr, "key ", name, " holds ", toml_text(found.value));
  return *value;
}

int64_t Configuration::integer(std::string_view name) const {
  return get<int64_t>(name, {KeyType::integer});
}
double Configuration::number(std::string_view name) const {
  return get<double>(name, {KeyType::number});
}
bool Configuration::boolean(std::string_view name) const {
  return get<bool>(name, {KeyType::boolean});
}
const std::string& Configuration::text(std::string_view name) const {
  return get<std::string>(name, {KeyType::text});
}
const std::string& Configuration::path(std::string_view name) const {
  return get<std::string>(name, {KeyType::path});
}
int64_t Configuration::bytes(std::string_view name) const {
  return get<int64_t>(name, {KeyType::bytes});
}
const std::vector<int64_t>& Configuration::integers(std::string_view name) const {
  return get<std::vector<int64_t>>(name, {KeyType::integers});
}
const std::vector<double>& Configuration::numbers(std::string_view name) const {
  return get<std::vector<double>>(name, {KeyType::numbers});
}
const std::vector<std::string>& Configuration::texts(std::string_view name) const {
  return get<std::vector<std::string>>(name, {KeyType::texts});
}
const std::vector<std::string>& Configuration::paths(std::string_view name) const {
  return get<std::vector<std::string>>(name, {KeyType::paths});
}

bool Configuration::is(std::string_view name, std::string_view word) const {
  const Entry& found = entry(name);
  const auto& key = found.key;
  LACUNA_CHECK(key.choices.empty() ? key.type == KeyType::text ||
                                         std::count(key.words.begin(), key.words.end(), word)
                                   : std::count(key.choices.begin(), key.choices.end(), word) +
                                         std::count(key.words.begin(), key.words.end(), word),
               "key ", name, " can never be ", word);
  const auto* text = std::get_if<std::string>(&found.value);
  return text != nullptr && *text == word;
}

bool Configuration::has(std::string_view name) const {
  return entries_.find(name) != entries_.end();
}

bool Configuration::is_set(std::string_view name) const { return entry(name).set; }

const std::string& Configuration::place(std::string_view name) const { return entry(name).place; }

std::string Configuration::value_text(std::string_view name) const {
  return toml_text(entry(name).value);
}

std::string Configuration::resolved() const {
  std::map<std::string, std::string> sections;  // "" first, as TOML asks
  for (const auto& [name, each] : entries_) {
    sections[section_of(name)] += concat(leaf_of(name), " = ", toml_text(each.value), "\n");
  }
  std::string text;
  for (const auto& [section, lines] : sections) {
    if (!text.empty()) text += "\n";
    if (!section.empty()) text += concat("[", section, "]\n");
    text += lines;
  }
  return text;
}

void check_all(const std::vector<std::function<void()>>& checks) {
  std::vector<std::string> sentences;
  for (const auto& check : checks) {
    try {
      check();
    } catch (const Error& error) {
      if (error.status() != ExitStatus::bad_input) throw;
      sentences.emplace_back(error.what());
    }
  }
  if (!sentences.empty()) bad_input(join(sentences, "\n"));
}

std::vector<Difference> differences(const Configuration& a, const Configuration& b) {
  std::set<std::string> names;
  for (const auto& [name, each] : a.entries()) names.insert(name);
  for (const auto& [name, each] : b.entries()) names.insert(name);
  std::vector<Difference> all;
  for (const std::string& name : names) {
    const std::string in_a = a.has(name) ? a.value_text(name) : "";
    const std::string in_b = b.has(name) ? b.value_text(name) : "";
    if (in_a == in_b) continue;
    const auto& known = a.has(name) ? a : b;
    all.push_back({name, in_a, in_b, known.entries().find(name)->second.key.is_execution});
  }
  return all;
}

// ---- Documentation ------------------------------------------------------------------------------

namespace {

std::string default_cell(const Key& key) {
  if (!key.default_text) return "required";
  const Value value = *default_of(key, "").value;
  const bool is_text = std::holds_alternative<std::string>(value);
  return concat("`", is_text ? toml_text(value) : *key.default_text, "`");
}

std::string range_cell(const Key& key) {
  std::string text;
  if (!key.choices.empty()) {
    text = quoted(key.choices);
  } else if (key.low || key.high) {
    text = range_words(key).substr(1);
    if (text.rfind("of ", 0) == 0) text.erase(0, 3);
  } else {
    switch (item_type(key.type)) {
      case KeyType::integer:
        text = "any integer";
        break;
      case KeyType::number:
        text = "any number";
        break;
      case KeyType::boolean:
        text = "true, false";
        break;
      case KeyType::path:
        text = "a path";
        break;
      default:
        text = "any text";
        break;
    }
  }
  if (is_list(key.type))
    text = concat("list", key.items ? concat(" of ", *key.items) : "", ": ", text);
  for (const std::string& word : key.words) text += concat(", or ", toml_text(word));
  return text;
}

std::string table_row(const Key& key) {
  std::string meaning = key.doc;
  if (!key.selector.empty()) meaning = concat("Of ", join(key.selector_values), ": ", meaning);
  if (key.is_execution) meaning += " *Execution.*";
  std::string row = concat("| `", key.name, "` | ", default_cell(key), " | ", key.unit_text, " | ",
                           range_cell(key), " | ", meaning, " |\n");
  return row;
}

}  // namespace

std::string keys_table(const Schema& schema) {
  std::map<std::string, std::string> sections;
  for (const Key& key : schema.keys()) {
    const size_t dot = key.name.find('.');
    sections[dot == std::string::npos ? "" : key.name.substr(0, dot)] += table_row(key);
  }
  std::string text;
  for (const auto& [section, rows] : sections) {
    text += section.empty() ? "### Outside sections\n\n" : concat("### [", section, "]\n\n");
    text += "| Key | Default | Unit | Range | Meaning |\n|---|---|---|---|---|\n";
    text += rows + "\n";
  }
  return text;
}

}  // namespace lacuna
