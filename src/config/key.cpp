#include "config/key.h"

#include <utility>

namespace lacuna {

namespace {

Key make_key(KeyType type, std::string name, key::Default value, std::string doc) {
  Key made;
  made.name = std::move(name);
  made.type = type;
  made.default_text = std::move(value);
  made.doc = std::move(doc);
  return made;
}

}  // namespace

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
Key Key::under(std::string prefix, std::string other, std::vector<std::string> values) && {
  section = std::move(prefix);
  name = section + "." + name;
  if (!selector.empty()) {
    selector = section + "." + selector;
    return std::move(*this);
  }
  return std::move(*this).only_if(std::move(other), std::move(values));
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

}  // namespace lacuna
