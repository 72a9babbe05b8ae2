// What a key accepts, in words, for messages and the documentation.
#pragma once

#include <string>
#include <vector>

#include "config/key.h"

namespace lacuna {

bool is_list(KeyType type);
// The type of one item of a list; other types stand for themselves.
KeyType item_type(KeyType type);

// The words as TOML texts: "a", "b".
std::string quoted(const std::vector<std::string>& words);
// " of at least 1 and below 2", or "".
std::string range_words(const Key& key);
// What the key accepts, to stand behind "it must be".
std::string expected(const Key& key);

}  // namespace lacuna
