#include "config/configuration.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/text.h"
#include "config/key_value.h"
#include "config/key_words.h"
#include "config/toml_text.h"

namespace lacuna {

namespace {

std::string section_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string leaf_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string current_folder() { return std::filesystem::current_path().string(); }

}  // namespace

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

  // The variant of a key that exists for the value of its selector; null where there is none, or
  // the selector itself does not exist.
  const Key* chosen(const std::vector<const Key*>& variants) {
    const std::string& selector = variants.front()->selector;
    if (selector.empty()) return variants.front();
    const auto found = by_name.find(selector);
    LACUNA_CHECK(found != by_name.end(), "selector ", selector, " is no key");
    settle_once(found->first, found->second);
    const auto by = entries.find(selector);
    if (by == entries.end()) return nullptr;
    const std::string& value = std::get<std::string>(by->second.value);
    for (const Key* key : variants) {
      const auto& values = key->selector_values;
      if (std::find(values.begin(), values.end(), value) != values.end()) return key;
    }
    return nullptr;
  }

  void settle_once(const std::string& name, const std::vector<const Key*>& variants) {
    if (!settled.insert(name).second) return;
    if (const Key* key = chosen(variants)) return settle(*key);
    if (const auto found = assignments.find(name); found != assignments.end())
      refuse_unchosen(name, variants, found->second);
  }

  // A key is given that does not exist for the value of its selector, or of that one's.
  void refuse_unchosen(const std::string& name, const std::vector<const Key*>& variants,
                       const Assignment& given) {
    const std::string& selector = variants.front()->selector;
    const auto by = entries.find(selector);
    if (by == entries.end()) {
      const std::vector<const Key*>& above = by_name.at(selector);
      // Where the selector is missing or wrong, that is told.
      if (!above.front()->selector.empty()) refuse_unchosen(name, above, given);
      return;
    }
    std::vector<std::string> owners;
    for (const Key* key : variants)
      owners.insert(owners.end(), key->selector_values.begin(), key->selector_values.end());
    const std::string& value = std::get<std::string>(by->second.value);
    if (std::find(owners.begin(), owners.end(), value) != owners.end()) return;
    problem(given.line, given.place,
            concat(name, " is a key of ", join(owners), ", not of ", value, ", which ", selector,
                   " chooses (", by->second.place, "); remove one of the two"));
  }

  void settle_all() {
    for (const auto& [name, variants] : by_name) settle_once(name, variants);
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
  std::set<std::string> settled;
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

Configuration Configuration::section(const std::string& name) const {
  const std::string prefix = name + ".";
  std::set<std::string> repeated;
  for (const Key& key : schema_->keys())
    if (key.section == name) repeated.insert(key.name.substr(prefix.size()));
  LACUNA_CHECK(!repeated.empty(), "no section ", name);
  Configuration made;
  made.schema_ = schema_;
  for (const auto& [full, each] : entries_) {
    if (each.key.section.empty() && !repeated.contains(full)) made.entries_[full] = each;
    if (each.key.section == name) made.entries_[full.substr(prefix.size())] = each;
  }
  return made;
}

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
std::array<double, 2> Configuration::interval(std::string_view name) const {
  const std::vector<double>& values = numbers(name);
  LACUNA_CHECK(values.size() == 2, name, " is a list of ", values.size());
  if (values[0] > values[1])
    bad_input(place(name), ": ", name, " = [", values[0], ", ", values[1],
              "] has its lowest value last; exchange the two");
  return {values[0], values[1]};
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

}  // namespace lacuna
