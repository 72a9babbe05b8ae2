#include "config/key_words.h"

#include "base/error.h"
#include "base/text.h"
#include "config/toml_text.h"

namespace lacuna {

bool is_list(KeyType type) { return type >= KeyType::integers; }

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

std::string range_words(const Key& key) {
  std::string text;
  if (key.low && key.high && !key.low_excluded && !key.high_excluded) {
    return concat(" from ", plain_text(*key.low), " to ", plain_text(*key.high));
  }
  if (key.low) text += concat(key.low_excluded ? " above " : " of at least ", plain_text(*key.low));
  const bool both = key.low && key.high;
  if (both) text += " and";
  if (key.high) {
    text += concat(key.high_excluded ? " below "
                   : both            ? " at most "
                                     : " of at most ",
                   plain_text(*key.high));
  }
  return text;
}

namespace {

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

}  // namespace

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

}  // namespace lacuna
