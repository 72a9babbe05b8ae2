#include "config/schema.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "config/key_value.h"
#include "config/key_words.h"
#include "config/toml_text.h"

namespace lacuna {

namespace {

bool overlap(const Key& a, const Key& b) {
  if (a.selector.empty() || a.selector != b.selector) return true;
  return std::any_of(a.selector_values.begin(), a.selector_values.end(), [&](const auto& value) {
    return std::count(b.selector_values.begin(), b.selector_values.end(), value) > 0;
  });
}

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

// What stands in a section once more, in words.
std::string repeated_keys(const std::string& section, const std::vector<const Key*>& keys) {
  std::set<std::string> names;
  std::vector<std::string> owners;
  for (const Key* key : keys) {
    names.insert(concat("`", key->name.substr(section.size() + 1), "`"));
    if (!key->selector.starts_with(section)) owners = key->selector_values;
  }
  return concat("### [", section, "]\n\nOf ", join(owners), ". Behind `", section,
                ".` stand once more, with the same defaults, ranges and meanings: ",
                join({names.begin(), names.end()}), ".\n\n");
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

std::string keys_table(const Schema& schema) {
  std::map<std::string, std::string> sections;
  std::map<std::string, std::vector<const Key*>> repeated;  // by section
  for (const Key& key : schema.keys()) {
    if (!key.section.empty()) {
      repeated[key.section].push_back(&key);
      continue;
    }
    const size_t dot = key.name.find('.');
    sections[dot == std::string::npos ? "" : key.name.substr(0, dot)] += table_row(key);
  }
  std::string text;
  for (const auto& [section, rows] : sections) {
    text += section.empty() ? "### Outside sections\n\n" : concat("### [", section, "]\n\n");
    text += "| Key | Default | Unit | Range | Meaning |\n|---|---|---|---|---|\n";
    text += rows + "\n";
  }
  for (const auto& [section, keys] : repeated) text += repeated_keys(section, keys);
  return text;
}

}  // namespace lacuna
