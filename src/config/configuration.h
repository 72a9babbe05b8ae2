// Configuration: one TOML file per experiment, `--set key=value` on top, defaults below.
//
// A module lists its keys once, as a std::vector<Key>; the same list gives defaults, checks,
// messages and the table of docs/configuration.md:
//
//   std::vector<Key> train_keys() {
//     return {
//         key::integer("train.epochs", "100", "How often a sample is seen.").unit("epochs").min(1),
//         key::number("optimizer.lr", "0.3", "Peak learning rate.").above(0),
//         key::one_of("optimizer.name", {"sgd", "lars"}, "sgd", "The optimizer."),
//         key::number("optimizer.trust", "0.001", "Trust.").only_if("optimizer.name", {"lars"}),
//         key::numbers("data.range", "auto", "Low and high value.").length(2).or_word("auto"),
//         key::bytes("data.buffer", "512 MiB", "Memory of the loader.").min(1).execution(),
//         key::paths("data.files", required, "HDF5 files, or patterns of them."),
//     };
//   }
//
// Rules. Paths of a TOML are relative to its folder, those of --set to the working directory; a
// Configuration holds them absolute (an empty path stays empty). Byte sizes are integers or texts
// such as "512 MiB". One text may stand for a list of texts or paths. All errors of a configuration
// are reported by one Error of status bad_input, one line each, with file and line or the --set.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace lacuna {

// The value of a key: integers and byte sizes are int64_t, paths are texts.
using Value = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>,
                           std::vector<double>, std::vector<std::string>>;

enum class KeyType { integer, number, boolean, text, path, bytes, integers, numbers, texts, paths };

// The default of a key that has none.
inline constexpr std::nullopt_t required = std::nullopt;

// One key of the configuration. The members are read by Schema and Configuration; modules write
// keys with the functions of namespace key and the refinements below, which may be chained.
struct Key {
  std::string name;  // "optimizer.lr"
  KeyType type = KeyType::text;
  std::optional<std::string>
      default_text;  // as after --set: a TOML value or a bare word; or required
  std::string doc;   // one sentence
  std::string unit_text;
  std::optional<double> low, high;  // of the number, or of each item of a list
  bool low_excluded = false, high_excluded = false;
  std::vector<std::string> choices;  // of a text, or of each item of texts
  std::vector<std::string> words;    // texts accepted in place of the type
  std::optional<size_t> items;       // length of a list
  bool is_execution = false;
  std::string selector;                      // the key exists only if this other key ...
  std::vector<std::string> selector_values;  // ... has one of these values

  Key unit(std::string text) &&;            // "epochs", "pixels"
  Key min(double value) &&;                 // value >= min
  Key max(double value) &&;                 // value <= max
  Key above(double value) &&;               // value > above
  Key below(double value) &&;               // value < below
  Key between(double low, double high) &&;  // low <= value <= high
  Key length(size_t items) &&;              // of a list
  Key or_word(std::string word) &&;         // the text `word` is accepted too ("auto", "none")
  Key execution() &&;                       // may differ when a run continues
  // The key exists only for these values of the key `selector` ("objective.name", {"simclr"}),
  // which must be unconditional. Several keys of one name may exist for different values.
  Key only_if(std::string selector, std::vector<std::string> values) &&;
};

namespace key {
using Default = std::optional<std::string>;
Key integer(std::string name, Default value, std::string doc);
Key number(std::string name, Default value, std::string doc);
Key boolean(std::string name, Default value, std::string doc);
Key text(std::string name, Default value, std::string doc);
Key one_of(std::string name, std::vector<std::string> choices, Default value, std::string doc);
Key path(std::string name, Default value, std::string doc);
Key bytes(std::string name, Default value, std::string doc);
Key integers(std::string name, Default value, std::string doc);
Key numbers(std::string name, Default value, std::string doc);
Key texts(std::string name, Default value, std::string doc);
Key some_of(std::string name, std::vector<std::string> choices, Default value, std::string doc);
Key paths(std::string name, Default value, std::string doc);
}  // namespace key

// The keys that a program, or one stage of it, knows.
class Schema {
 public:
  // Adds keys; a name that is there already, unless for other values of its selector, is a defect,
  // as is a default that the key itself would refuse.
  Schema& add(const std::vector<Key>& keys);
  // Adds keys that exist only for one value of a selector: what one objective or optimizer
  // contributes.
  Schema& add_for(const std::string& selector, const std::string& value, std::vector<Key> keys);
  // Names keys that belong elsewhere, for a better message: "task.name is a key of finetune".
  Schema& add_foreign(const std::vector<Key>& keys, const std::string& where);

  const std::vector<Key>& keys() const& { return keys_; }
  std::vector<Key> keys() && { return std::move(keys_); }  // so that a loop may run over it
  // Name -> where the key belongs, of add_foreign.
  const std::map<std::string, std::string>& foreign() const { return foreign_; }

 private:
  std::vector<Key> keys_;
  std::map<std::string, std::string> foreign_;
};

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
  // of its words is a defect of the caller.
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool boolean(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::string& path(std::string_view name) const;
  int64_t bytes(std::string_view name) const;
  const std::vector<int64_t>& integers(std::string_view name) const;
  const std::vector<double>& numbers(std::string_view name) const;
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

// The table of keys of docs/configuration.md, grouped by section, as Markdown.
std::string keys_table(const Schema& schema);

}  // namespace lacuna
