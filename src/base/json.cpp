#include "base/json.h"

#include <array>
#include <charconv>
#include <cmath>

namespace lacuna {

std::string json_text(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 40> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

std::string json_text(std::string_view value) {
  static constexpr const char* digits = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20) {
      text += "\\u00";
      text += digits[byte / 16];
      text += digits[byte % 16];
    } else {
      text += c;
    }
  }
  return text + "\"";
}

JsonObject& JsonObject::add(std::string_view name, std::string_view value) {
  return add_text(name, json_text(value));
}

JsonObject& JsonObject::add(std::string_view name, const JsonObject& value) {
  return add_text(name, value.text());
}

namespace {

template <typename T>
std::string list_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text += (text.size() > 1 ? "," : "") + json_text(value);
  return text + "]";
}

}  // namespace

JsonObject& JsonObject::add(std::string_view name, const std::vector<double>& values) {
  return add_text(name, list_text(values));
}

JsonObject& JsonObject::add(std::string_view name, const std::vector<std::string>& values) {
  return add_text(name, list_text(values));
}

JsonObject& JsonObject::add_text(std::string_view name, const std::string& value) {
  if (!members_.empty()) members_ += ',';
  members_ += json_text(name) + ":" + value;
  return *this;
}

}  // namespace lacuna
