// Keys of a configuration: name, type, default, unit, range and one sentence each.
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
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

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
  std::string section;  // under() which the key stands; "" where it is a key of its own

  Key unit(std::string text) &&;            // "epochs", "pixels"
  Key min(double value) &&;                 // value >= min
  Key max(double value) &&;                 // value <= max
  Key above(double value) &&;               // value > above
  Key below(double value) &&;               // value < below
  Key between(double low, double high) &&;  // low <= value <= high
  Key length(size_t items) &&;              // of a list
  Key or_word(std::string word) &&;         // the text `word` is accepted too ("auto", "none")
  Key execution() &&;                       // may differ when a run continues
  // The key exists only for these values of the key `selector` ("objective.name", {"simclr"}), and
  // where that key exists. Several keys of one name may exist for different values.
  Key only_if(std::string selector, std::vector<std::string> values) &&;
  // The same key once more, "<section>.<name>", whose selector is the one in the section. Where it
  // has none it exists only for these values of `selector`.
  Key under(std::string section, std::string selector, std::vector<std::string> values) &&;
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

}  // namespace lacuna
