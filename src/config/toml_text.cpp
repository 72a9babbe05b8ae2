#include "config/toml_text.h"

#include <array>
#include <charconv>

#include "base/error.h"

namespace lacuna {

std::string toml_text(int64_t value) { return std::to_string(value); }

std::string toml_text(bool value) { return value ? "true" : "false"; }

std::string toml_text(double value) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      static constexpr const char* digits = "0123456789ABCDEF";
      text += concat("\\u00", digits[byte / 16], digits[byte % 16]);
    } else {
      text += c;
    }
  }
  return text + "\"";
}

namespace {

struct ToText {
  template <typename T>
  std::string operator()(const T& value) const {
    return toml_text(value);
  }
  template <typename T>
  std::string operator()(const std::vector<T>& values) const {
    std::string text = "[";
    for (const T& value : values) text += (text.size() > 1 ? ", " : "") + toml_text(value);
    return text + "]";
  }
};

}  // namespace

std::string toml_text(const Value& value) { return std::visit(ToText(), value); }

std::string plain_text(double value) {
  std::array<char, 40> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

}  // namespace lacuna
