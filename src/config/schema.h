// The keys that a program knows, and their table for the documentation.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/key.h"

namespace lacuna {

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

// The table of keys of docs/configuration.md, grouped by section, as Markdown.
std::string keys_table(const Schema& schema);

}  // namespace lacuna
