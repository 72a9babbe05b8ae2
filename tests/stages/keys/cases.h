// What is set to a value other than its default, stage by stage, to see that it does something.
#pragma once

#include <string>
#include <vector>

namespace lacuna::keys {

using Settings = std::vector<std::string>;  // "key=value"

// A value of a key that is not its default, and what else is set with it and without it. On two
// ranks what a step sends is compared.
struct Case {
  std::string key, value;
  Settings with = {};
  int ranks = 1;
};

// A key whose effect cannot be seen here.
struct Exception {
  std::string key, why;
  std::string tested;  // the file that tests it, which names the key
};

// Of all stages, and of finetune alone, whose tasks leave little.
const std::vector<Exception>& exceptions();
const std::vector<Exception>& finetune_exceptions();

std::vector<Case> pretrain_cases();
// Of the keys of a sample that stand once more in the section of a further part of it.
std::vector<Case> cases_of_part(const std::string& section);
std::vector<Case> finetune_cases(const std::string& task);

}  // namespace lacuna::keys
