// Configuration: one TOML file per experiment, `--set key=value` on top, defaults below.
//
// A module lists its keys once (config/key.h); the same list gives defaults, checks, messages and
// the table of docs/configuration.md.
//
// Rules. Paths of a TOML are relative to its folder, those of --set to the working directory; a
// Configuration holds them absolute (an empty path stays empty). Byte sizes are integers or texts
// such as "512 MiB". One text may stand for a list of texts or paths. All errors of a configuration
// are reported by one Error of status bad_input, one line each, with file and line or the --set.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/schema.h"

namespace lacuna {

class Configuration {
 public:
  // Reads the file; overrides are "key=value". Error bad_input with all problems.
  static Configuration load(const std::string& file, const Schema& schema,
                            const std::vector<std::string>& overrides = {});
  // The text of such a file. Error bad_input when it cannot be read.
  static std::string read(const std::string& file);
  // The same from text, as resolved() gave it; `source` names it in messages, and relative paths
  // are relative to the folder of `source`.
  static Configuration from_text(std::string_view text, const Schema& schema,
                                 const std::string& source = "stored configuration",
                                 const std::vector<std::string>& overrides = {});

  // Values. A key that does not exist (or not for the chosen name) or has another type or holds one
  // of its words is a broken precondition.
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool boolean(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::string& path(std::string_view name) const;
  int64_t bytes(std::string_view name) const;
  const std::vector<int64_t>& integers(std::string_view name) const;
  const std::vector<double>& numbers(std::string_view name) const;
  // Of a list of two numbers, {low, high}; bad_input where the first is the larger one.
  std::array<double, 2> interval(std::string_view name) const;
  const std::vector<std::string>& texts(std::string_view name) const;
  const std::vector<std::string>& paths(std::string_view name) const;

  // Whether the key holds this text: a choice, or a word accepted by or_word.
  bool is(std::string_view name, std::string_view word) const;
  // Whether the key exists for the chosen names.
  bool has(std::string_view name) const;
  // Whether file or --set gave the key; otherwise it has its default.
  bool is_set(std::string_view name) const;
  // Where the value comes from, for messages: "inputs/a.toml, line 7", "--set train.epochs=3", or
  // "the default".
  const std::string& place(std::string_view name) const;
  // The value as TOML text.
  std::string value_text(std::string_view name) const;
  // This configuration with further overrides; paths are relative to the working directory.
  Configuration with(const std::vector<std::string>& overrides) const;

  // The keys under a section ("part.paired"; Key::under) in the place of those that they repeat,
  // and this configuration's other keys.
  Configuration section(const std::string& name) const;

  // Every key that exists with its value, as TOML, sorted, paths absolute: equal configurations
  // have equal texts, and from_text(resolved()) is equal to this.
  std::string resolved() const;

  struct Entry {
    Key key;
    Value value;
    bool set = false;
    std::string place;
  };
  // All keys that exist, sorted by name.
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

 private:
  friend struct Loading;
  const Entry& entry(std::string_view name) const;
  template <typename T>
  const T& get(std::string_view name, std::initializer_list<KeyType> types) const;

  std::shared_ptr<const Schema> schema_;
  std::map<std::string, Entry, std::less<>> entries_;
};

// Runs all checks of values that belong together ("low is below high") and throws one Error
// bad_input with the sentences of all that refuse; other errors pass at once. A check throws
// bad_input with the place() of its key.
void check_all(const std::vector<std::function<void()>>& checks);

// A key whose value differs between two configurations; the text of a value is "" where the key
// does not exist.
struct Difference {
  std::string key;
  std::string a, b;
  bool execution = false;
};
std::vector<Difference> differences(const Configuration& a, const Configuration& b);

}  // namespace lacuna
