#include "config/toml_library.h"

#include <algorithm>

namespace lacuna {

namespace {

// How many bytes at the beginning are UTF-8: all of them, or up to the first character that is not.
size_t utf8_bytes(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80    ? 1
                          : lead >= 0xf0 ? 4
                          : lead >= 0xe0 ? 3
                          : lead >= 0xc2 ? 2
                                         : 0;
    if (length == 0 || lead > 0xf4 || i + length > text.size()) return i;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
    }
    i += length;
  }
  return i;
}

}  // namespace

bool is_utf8(std::string_view text) { return utf8_bytes(text) == text.size(); }

toml::table parse_toml(std::string_view text) {
  // Before parsing: toml++ 3.3 reads past what it decoded where such bytes stand outside of texts.
  if (const size_t good = utf8_bytes(text); good < text.size()) {
    const auto lines = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(good), '\n');
    throw TomlError(static_cast<uint32_t>(1 + lines), "a byte that is not UTF-8");
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    std::replace(what.begin(), what.end(), '\n', ' ');
    throw TomlError(error.source().begin.line, what);
  }
}

}  // namespace lacuna
