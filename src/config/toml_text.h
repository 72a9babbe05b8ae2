// Values as TOML text, from which they are read back as they were.
#pragma once

#include <string>
#include <vector>

#include "config/key.h"

namespace lacuna {

std::string toml_text(int64_t value);
std::string toml_text(bool value);
// The shortest text that reads back as the same double; always recognisable as a float.
std::string toml_text(double value);
std::string toml_text(const std::string& value);
std::string toml_text(const Value& value);

// A number as a person writes it: 0.2, 100.
std::string plain_text(double value);

}  // namespace lacuna
