// JSON that is written, never read: the lines of metrics.jsonl and the RESULT lines.
//
//   JsonObject().add("step", 12).add("loss", 4.5).text()   ->   {"step":12,"loss":4.5}
//
// Members keep the order in which they were added. Doubles are written with the fewest digits that
// read back as the same number; NaN and Inf, which JSON lacks, as null. Text must be UTF-8.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lacuna {

// A value as JSON text.
std::string json_text(double value);
std::string json_text(std::string_view value);

class JsonObject {
 public:
  template <std::floating_point T>
  JsonObject& add(std::string_view name, T value) {
    return add_text(name, json_text(static_cast<double>(value)));
  }
  template <std::integral T>
  JsonObject& add(std::string_view name, T value) {
    if constexpr (std::same_as<T, bool>) return add_text(name, value ? "true" : "false");
    return add_text(name, std::to_string(value));
  }
  JsonObject& add(std::string_view name, std::string_view value);
  JsonObject& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }
  JsonObject& add(std::string_view name, const JsonObject& value);
  JsonObject& add(std::string_view name, const std::vector<double>& values);
  JsonObject& add(std::string_view name, const std::vector<std::string>& values);

  // One line, without its end.
  std::string text() const { return "{" + members_ + "}"; }

 private:
  JsonObject& add_text(std::string_view name, const std::string& value);
  std::string members_;
};

}  // namespace lacuna
