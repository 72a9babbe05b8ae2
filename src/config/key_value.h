// From nodes of TOML to the values of keys.
#pragma once

#include <optional>
#include <string>

#include "config/key.h"
#include "config/toml_library.h"

namespace lacuna {

// A value, or what is wrong with it as a sentence without its place.
struct Converted {
  std::optional<Value> value;
  std::string problem;
};

// What `node` gives the key; a path is relative to `folder`.
Converted convert(const Key& key, const toml::node& node, const std::string& folder);
// Of the key's default, which it must have.
Converted default_of(const Key& key, const std::string& folder);

// The value behind "key=" as a table with the one entry "value": TOML, or a bare word as a text.
// For keys that are texts, what TOML would take for a number or a date is still a text.
toml::table parse_override(const std::string& text, const Key* key);

}  // namespace lacuna
