// toml++ as it is to be included: 3.3 asserts, before it refuses it in order, what malformed text can break ("[+a]");
// under NDEBUG it would even let the compiler rely on it. Neither is wanted. For implementation files only.
#pragma once

#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lacuna {

// Why a text is no TOML, in words that go into a sentence, and where.
class TomlError : public std::runtime_error {
 public:
  TomlError(uint32_t line, const std::string& what) : std::runtime_error(what), line_(line) {}
  uint32_t line() const { return line_; }

 private:
  uint32_t line_;
};

// Throws TomlError.
toml::table parse_toml(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace lacuna
